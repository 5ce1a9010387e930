//! The OpenAPI 3.1 document of the API, made from the table of routes and the shapes.
//! It is served, and committed as `docs/reference/openapi.json`; a test sees that both are the same.

use std::sync::LazyLock;

use axum::http::{Method, header};
use axum::response::IntoResponse;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Content, HeaderBuilder, InfoBuilder, LicenseBuilder, OpenApi, Ref, RefOr, Required, SecurityRequirement,
};

use super::body::Takes;
use super::caller::Needs;
use super::query::{Parameter, ParameterKind};
use super::routes::{Gives, Route, table};
use super::shapes::Shapes;

/// The document.
pub(super) async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.as_str())
}

static TEXT: LazyLock<String> = LazyLock::new(text);

/// As it is served and committed.
pub(super) fn text() -> String {
    document().to_pretty_json().unwrap_or_default() + "\n"
}

fn document() -> OpenApi {
    let mut document = Shapes::openapi();
    let license =
        LicenseBuilder::new().name("Apache-2.0 OR MIT").identifier(Some("Apache-2.0 OR MIT")).build();
    document.info = InfoBuilder::new()
        .title("Countersign")
        .version("1")
        .description(Some("Rulings about mail, what is held, accounts, and the ledger of all of it."))
        .license(Some(license))
        .build();
    let key = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(KEY)).build();
    let components = document.components.get_or_insert_default();
    components.add_security_scheme(SCHEME, SecurityScheme::Http(key));
    for route in table() {
        let item = PathItem::new(method(&route), operation(&route));
        document.paths.paths.entry(route.path.to_owned()).or_default().merge_operations(item);
    }
    document
}

fn method(route: &Route) -> HttpMethod {
    if route.method == Method::POST { HttpMethod::Post } else { HttpMethod::Get }
}

fn operation(route: &Route) -> OperationBuilder {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(route.name))
        .summary(Some(route.says))
        .response("200", well(route.gives))
        .response("default", problem());
    for name in names(route.path) {
        let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
        operation = operation.parameter(parameter.required(Required::True).schema(Some(plain(Type::String))));
    }
    for parameter in route.query {
        operation = operation.parameter(query(parameter));
    }
    if route.method == Method::POST {
        operation = operation.parameter(field("Idempotency-Key", ONCE));
    }
    if route.path.starts_with("/v1/held/") && route.method == Method::POST {
        operation = operation.parameter(field("If-Match", "the ETag of what it is thought to be"));
    }
    operation = match route.takes {
        Takes::Nothing => operation,
        Takes::Json(name, _) => {
            operation.request_body(Some(body("application/json", reference(name)).build()))
        }
        Takes::Accounts => operation.request_body(Some(body("application/json", reference("Apply")).build())),
        Takes::Message => operation.request_body(Some(body("message/rfc822", plain(Type::String)).build())),
    };
    match route.needs {
        Needs::Nobody => operation.security(SecurityRequirement::default()),
        Needs::Scope(scope) => operation.security(SecurityRequirement::new(SCHEME, [scope.name()])),
        Needs::Local => operation.description(Some("On `data_dir/control.sock` only; no key opens it.")),
    }
}

fn well(gives: Gives) -> ResponseBuilder {
    let told = ResponseBuilder::new().description("as asked");
    let header =
        |says: &str| HeaderBuilder::new().schema(Some(plain(Type::String))).description(Some(says)).build();
    match gives {
        Gives::Json(name) => told.content("application/json", Content::new(Some(reference(name)))),
        Gives::Tagged(name) => told
            .content("application/json", Content::new(Some(reference(name))))
            .header("ETag", header("what it is now, for If-Match")),
        Gives::Page(name) => told
            .content("application/json", Content::new(Some(reference(name))))
            .header("Link", header("the next page, if there is one (RFC 8288)")),
        Gives::Text(kind) => told.content(kind, Content::new(Some(plain(Type::String)))),
    }
}

fn problem() -> ResponseBuilder {
    let content = Content::new(Some(reference("Problem")));
    ResponseBuilder::new().description("a problem (RFC 9457)").content("application/problem+json", content)
}

fn body(kind: &str, schema: RefOr<Schema>) -> RequestBodyBuilder {
    RequestBodyBuilder::new().required(Some(Required::True)).content(kind, Content::new(Some(schema)))
}

fn query(parameter: &Parameter) -> ParameterBuilder {
    let schema = match parameter.kind {
        ParameterKind::Text => plain(Type::String),
        ParameterKind::Texts => {
            RefOr::T(Schema::Array(ArrayBuilder::new().items(plain(Type::String)).build()))
        }
        ParameterKind::Flag => plain(Type::Boolean),
        ParameterKind::Word(words) => {
            let words = ObjectBuilder::new()
                .schema_type(SchemaType::new(Type::String))
                .enum_values(Some(words.iter().copied()));
            RefOr::T(Schema::Object(words.build()))
        }
        ParameterKind::Count(most) => {
            let number = ObjectBuilder::new().schema_type(SchemaType::new(Type::Integer));
            RefOr::T(Schema::Object(number.minimum(Some(1)).maximum(Some(most)).build()))
        }
    };
    let there = ParameterBuilder::new().name(parameter.name).parameter_in(ParameterIn::Query);
    there.required(Required::False).description(Some(parameter.says)).schema(Some(schema))
}

fn field(name: &str, says: &str) -> ParameterBuilder {
    let field = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Header);
    field.required(Required::False).description(Some(says)).schema(Some(plain(Type::String)))
}

fn plain(of: Type) -> RefOr<Schema> {
    RefOr::T(Schema::Object(ObjectBuilder::new().schema_type(SchemaType::new(of)).build()))
}

fn reference(name: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(name))
}

/// The names in braces of a path.
fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

const SCHEME: &str = "key";
const KEY: &str = "An API key of an account or of staff; each opens what its scopes say.";
const ONCE: &str = "the request is carried out once under this key, and answered the same again for 24 hours";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    #[test]
    fn the_committed_document_is_the_one_that_is_served() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/openapi.json");
        if std::env::var_os("COUNTERSIGN_BLESS").is_some() {
            std::fs::write(path, text()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap_or_default();
        assert!(committed == text(), "run `just bless` and commit docs/reference/openapi.json");
    }

    #[test]
    fn every_route_is_in_the_document_and_nothing_else_is() {
        let document: Value = serde_json::from_str(&text()).unwrap();
        assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
        let mut told = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            told.extend(item.as_object().unwrap().keys().map(|method| (method.to_uppercase(), path.clone())));
        }
        let routes: BTreeSet<_> =
            table().iter().map(|route| (route.method.to_string(), route.path.to_owned())).collect();
        assert_eq!(told, routes);
        assert_eq!(table().len(), routes.len(), "no route is there twice");
    }

    #[test]
    fn every_reference_leads_to_a_shape_and_every_shape_is_used() {
        let document: Value = serde_json::from_str(&text()).unwrap();
        let text = document.to_string();
        let used: BTreeSet<&str> =
            text.split("#/components/schemas/").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        let shapes: BTreeSet<&str> =
            document["components"]["schemas"].as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(used, shapes);
    }
}
