-- Whose domain it is, asked for each message of a relay (account_from = "mail-from-map").
CREATE INDEX account_domains_by_domain ON account_domains (domain);
