package mixpanel

import (
	"cmp"
	"fmt"
	"net/url"
)

// hints say how to mend what commonly goes wrong, in the words of the
// configuration.
type hints struct {
	credentials, token, address, network, certificate, proxy string
}

func newHints(base *url.URL, o *Options) hints {
	region := fmt.Sprintf("region (%q now) is the project's", cmp.Or(o.Region, US))
	if o.BaseURL != "" {
		region = "api_url is that of the project's region"
	}
	h := hints{
		address:     fmt.Sprintf("check that %s; requests went to %s", region, base.Host),
		network:     fmt.Sprintf("check that %s can be reached from here, and region, api_url and HTTPS_PROXY", base.Host),
		certificate: "a proxy that opens TLS needs its certificate among the system's, or in SSL_CERT_FILE",
		proxy:       "check HTTPS_PROXY and NO_PROXY",
		token:       "check that token is the one in the project's settings, and that " + region,
	}
	h.credentials = h.token
	if o.Username != "" {
		h.credentials = fmt.Sprintf("check service_account (username and secret; it must be Owner or Admin of project %d and not expired), project_id, and that %s",
			o.ProjectID, region)
	}
	return h
}
