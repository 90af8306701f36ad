package bigquery

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"

	"cloud.google.com/go/bigquery"
	storage "cloud.google.com/go/bigquery/storage/apiv1"
	rest "google.golang.org/api/bigquery/v2"
	"google.golang.org/api/option"
	htransport "google.golang.org/api/transport/http"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Windows of the Storage Read API's connection: together with the chunks in
// flight they bound what is held of a result. Left to itself gRPC lets every
// stream's window grow to 16 MB.
const (
	streamWindow     = 2 << 20
	connectionWindow = 8 << 20
	maxMessage       = 129 << 20 // the API's own limit is 128 MB
)

// connect makes the clients. Nothing is sent, tokens for credentials aside.
func (d *Driver) connect(ctx context.Context) error {
	o := &d.options
	// Tokens are fetched again with this context, as long as the driver lives.
	ctx = context.WithoutCancel(ctx)
	auth, err := authentication(ctx, o)
	if err != nil {
		return err
	}
	if o.UserAgent != "" {
		auth = append(auth, option.WithUserAgent(o.UserAgent))
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 16 // as many statements at a time need no more
	base.DialContext = (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	base.ResponseHeaderTimeout = 40 * time.Second // BigQuery lets nobody wait longer than 10 s
	transport, err := htransport.NewTransport(ctx, base, append(auth, option.WithScopes(bigquery.Scope))...)
	if err != nil {
		return credentialsError(err, o)
	}
	options := []option.ClientOption{option.WithHTTPClient(&http.Client{Transport: &patient{base: transport, limit: o.Patience}})}
	if o.Endpoint != "" {
		options = append(options, option.WithEndpoint(o.endpoint()))
	}
	if d.client, err = bigquery.NewClient(ctx, o.Project, options...); err != nil {
		return credentialsError(err, o)
	}
	d.client.Location = o.Location
	if d.rest, err = rest.NewService(ctx, options...); err != nil {
		return credentialsError(err, o)
	}
	if o.Endpoint != "" && o.GRPCEndpoint == "" {
		return nil
	}
	return d.connectStorage(ctx, auth)
}

func (d *Driver) connectStorage(ctx context.Context, auth []option.ClientOption) error {
	o := &d.options
	options := append(auth,
		option.WithGRPCConnectionPool(1),
		option.WithGRPCDialOption(grpc.WithInitialWindowSize(streamWindow)),
		option.WithGRPCDialOption(grpc.WithInitialConnWindowSize(connectionWindow)),
		option.WithGRPCDialOption(grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage), grpc.ForceCodecV2(newCodec(d.memory)))),
	)
	if o.GRPCEndpoint != "" {
		_, host, found := strings.Cut(o.GRPCEndpoint, "://")
		if !found {
			host = o.GRPCEndpoint
		}
		options = append(options, option.WithEndpoint(strings.TrimSuffix(host, "/")))
	}
	if o.Insecure {
		options = append(options, option.WithGRPCDialOption(grpc.WithTransportCredentials(insecure.NewCredentials())))
	}
	client, err := storage.NewBigQueryReadClient(ctx, options...)
	if err != nil {
		return credentialsError(err, o)
	}
	// By itself the client would try to open a stream for ever; see streams.read.
	client.CallOptions.ReadRows = nil
	d.storage = client
	return nil
}
