package bigquery

import (
	"context"
	"errors"
	"io"
	"sync/atomic"

	"cloud.google.com/go/bigquery"
	storage "cloud.google.com/go/bigquery/storage/apiv1"
	rest "google.golang.org/api/bigquery/v2"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// Driver reads one BigQuery project. It is safe for concurrent use.
type Driver struct {
	options Options
	client  *bigquery.Client
	rest    *rest.Service               // beneath the client, for pages as they come
	storage *storage.BigQueryReadClient // nil: results come by REST pages alone
	// refused says that the Storage Read API has turned a session down. Whether it
	// would the next is not worth a round trip before every result.
	refused atomic.Bool
	memory  chunkMemory
}

var (
	_ warehouse.Driver       = (*Driver)(nil)
	_ warehouse.Describer    = (*Driver)(nil)
	_ warehouse.Estimator    = (*Driver)(nil)
	_ warehouse.ChangeTeller = (*Driver)(nil)
	_ warehouse.Accountable  = (*rows)(nil)
)

// Open connects and asks BigQuery to check a statement that reads nothing, to tell
// at once whether the credentials do. Its errors are *warehouse.Error.
func Open(ctx context.Context, o Options) (*Driver, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	d := &Driver{options: o, memory: make(chunkMemory, maxStreams)}
	if err := d.connect(ctx); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	if _, err := d.dryRun(ctx, "SELECT 1 AS one", nil); err != nil && !ofStatement(err) {
		_ = d.Close() // the first error is the one that tells
		return nil, err
	}
	return d, nil
}

// ofStatement tells errors of a statement from those of the connection.
func ofStatement(err error) bool {
	class := warehouse.ClassOf(err)
	return class == warehouse.ClassQuery || class == warehouse.ClassSchema
}

// Close closes the connections. Rows that are still open fail.
func (d *Driver) Close() error {
	var err error
	if d.storage != nil {
		err = d.storage.Close()
	}
	if d.client != nil {
		err = errors.Join(err, d.client.Close())
	}
	return err
}

// Clock reads BigQuery's clock, which scans nothing. Who is still writing it does
// not say, of any table: there is no grant that check could advise.
func (d *Driver) Clock(ctx context.Context) (warehouse.Clock, error) {
	rows, err := d.Query(ctx, "SELECT CURRENT_TIMESTAMP() AS now")
	if err != nil {
		return warehouse.Clock{}, err
	}
	defer rows.Close()
	b := warehouse.NewBatch(rows.Schema())
	defer b.Reset()
	switch err := rows.Fill(ctx, b); {
	case errors.Is(err, io.EOF) || err == nil && (b.Cols[0].Kind != warehouse.TimestampTZ || b.Cols[0].IsNull(0)):
		return warehouse.Clock{}, warehouse.Errorf(warehouse.ClassQuery, "check endpoint: this is not how BigQuery answers", "CURRENT_TIMESTAMP() gave no timestamp")
	case err != nil:
		return warehouse.Clock{}, err
	}
	return warehouse.Clock{Now: microTime(b.Cols[0].Int[0])}, nil
}
