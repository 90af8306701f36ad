package bigquery

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"slices"

	"cloud.google.com/go/bigquery"
	"google.golang.org/api/impersonate"
	"google.golang.org/api/option"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

const credentialsHint = "put the whole JSON of a service account's key, or of a workload identity, there: credentials: ${file:/run/secrets/bq.json}"

// authentication says to Google's clients who we are.
func authentication(ctx context.Context, o *Options) ([]option.ClientOption, error) {
	if o.Insecure {
		return []option.ClientOption{option.WithoutAuthentication()}, nil
	}
	var options []option.ClientOption
	if o.Credentials != "" {
		kind, err := credentialsKind([]byte(o.Credentials))
		if err != nil {
			return nil, err
		}
		options = append(options, option.WithAuthCredentialsJSON(kind, []byte(o.Credentials)))
	}
	if o.Impersonate == "" {
		return options, nil
	}
	source, err := impersonate.CredentialsTokenSource(ctx, impersonate.CredentialsConfig{
		TargetPrincipal: o.Impersonate,
		Scopes:          []string{bigquery.Scope},
	}, options...)
	if err != nil {
		return nil, credentialsError(err, o)
	}
	return []option.ClientOption{option.WithTokenSource(source)}, nil
}

// kinds of credentials that are accepted.
var kinds = []option.CredentialsType{option.ServiceAccount, option.ExternalAccount, option.AuthorizedUser, option.ImpersonatedServiceAccount}

// credentialsKind reads the type of credentials and checks what is easily broken
// on the way of a key through files and variables. Parsers would quote from it.
func credentialsKind(text []byte) (option.CredentialsType, error) {
	bad := func(reason string) error {
		return warehouse.Errorf(warehouse.ClassConfig, credentialsHint, "the credentials of bigquery cannot be read: %s", reason)
	}
	var c struct {
		Type        option.CredentialsType `json:"type"`
		ClientEmail string                 `json:"client_email"`
		PrivateKey  string                 `json:"private_key"`
	}
	if err := json.Unmarshal(text, &c); err != nil {
		return "", bad("they are no JSON")
	}
	switch {
	case !slices.Contains(kinds, c.Type):
		return "", bad("their type is none of service_account, external_account, authorized_user and impersonated_service_account")
	case c.Type != option.ServiceAccount:
		return c.Type, nil
	case c.ClientEmail == "":
		return "", bad("client_email is missing")
	case !isPrivateKey(c.PrivateKey):
		return "", bad("private_key is no PEM block of a private key: its line breaks may have been lost")
	}
	return c.Type, nil
}

func isPrivateKey(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	if _, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		return true
	}
	_, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	return err == nil
}
