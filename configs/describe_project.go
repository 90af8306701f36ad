package configs

import (
	"time"

	"github.com/mixsync/mixsync/mapping"
)

var projectObject = object[Project]{
	fields: []field[Project]{
		bind("project_id", "The project's number, from Mixpanel's project settings.", projectID(),
			func(p *Project) *int64 { return &p.ProjectID }).must("project_id: 3141592, from Mixpanel's project settings"),
		bind("region", "Where the project's data lives: us, eu or in. Data sent to another region is lost.", enum("us", "eu", "in"),
			func(p *Project) *string { return &p.Region }),
		bind("model", "The project's identity model: hierarchical (Hierarchical Groups: company and user) or standard.", enum(mapping.Hierarchical, mapping.Standard),
			func(p *Project) *mapping.Model { return &p.Model }).must("model: hierarchical or standard, as the project was created"),
		bind("token", "The project token: needed for profiles.", secret("the project token"),
			func(p *Project) *Secret { return &p.Token }),
		bind("service_account", "A service account with the role Owner or Admin: for events and lookup tables.", pointer(serviceAccountObject.codec()),
			func(p *Project) **ServiceAccount { return &p.ServiceAccount }),
		bind("concurrency", "A fixed number of senders. Without it they adapt to the network and to Mixpanel's rate limit.", integer("a number of senders", 1, 256),
			func(p *Project) *int { return &p.Concurrency }),
		bind("api_url", "One base for all of Mixpanel's endpoints, such as a local emulator. Plain http only to loopback.", apiURL(),
			func(p *Project) *string { return &p.APIURL }),
		withDefault("request_timeout", "How long one request to Mixpanel may take.", duration(time.Second),
			func(p *Project) *time.Duration { return &p.RequestTimeout }, 30*time.Second),
	},
	foreign: projectForeign,
}

var serviceAccountObject = object[ServiceAccount]{
	fields: []field[ServiceAccount]{
		bind("username", "The service account's user name.", text("the service account's user name"),
			func(a *ServiceAccount) *string { return &a.Username }).must("username: of the service account"),
		bind("secret", "The service account's secret.", secret("the service account's secret"),
			func(a *ServiceAccount) *Secret { return &a.Secret }).must("secret: ${MP_SECRET}"),
	},
	foreign: map[string]string{"password": "write secret", "user": "write username", "name": "write username", "project_id": "it stands beside service_account"},
}
