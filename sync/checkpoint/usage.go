package checkpoint

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// maxQueryIDs is how many query ids a run remembers: enough for every slice of a
// backfill by the day, few enough for the history.
const maxQueryIDs = 1000

// Usage is what a run's statements came to at the warehouse.
type Usage struct {
	Queries      int64    `json:"queries"`
	BytesScanned int64    `json:"bytes_scanned"` // 0 where the warehouse does not say
	QueryIDs     QueryIDs `json:"query_ids"`     // the first thousand; none where statements have no ids
}

// QueryIDs are a list in JSON, also where there are none.
type QueryIDs []string

// MarshalJSON implements json.Marshaler.
func (q QueryIDs) MarshalJSON() ([]byte, error) {
	if q == nil {
		return []byte("[]"), nil
	}
	return json.Marshal([]string(q))
}

// Add adds a statement.
func (u *Usage) Add(x warehouse.Usage) {
	u.Queries++
	u.BytesScanned += x.BytesScanned
	if x.QueryID != "" && len(u.QueryIDs) < maxQueryIDs {
		u.QueryIDs = append(u.QueryIDs, x.QueryID)
	}
}

func (u *Usage) join(x Usage) {
	u.Queries += x.Queries
	u.BytesScanned += x.BytesScanned
	u.QueryIDs = append(u.QueryIDs, x.QueryIDs[:min(len(x.QueryIDs), maxQueryIDs-len(u.QueryIDs))]...)
}

// Account adds to what a run has come to. Every process that worked on the run
// does so once it is done with it, whatever became of the run.
func (s *Store) Account(ctx context.Context, runID string, used Usage) error {
	if used.Queries == 0 {
		return nil
	}
	return s.write(ctx, "account for run", func(tx *tx) error {
		var text sql.NullString
		err := tx.QueryRowContext(ctx, `SELECT usage FROM runs WHERE id = ?`+s.dialect.lock, runID).Scan(&text)
		if errors.Is(err, sql.ErrNoRows) { // the run never began
			return nil
		}
		if err != nil {
			return err
		}
		sum, err := usageOf(text)
		if err != nil {
			return err
		}
		sum.join(used)
		b, err := json.Marshal(sum)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `UPDATE runs SET usage = ? WHERE id = ?`, string(b), runID)
		return err
	})
}

func usageOf(text sql.NullString) (u Usage, err error) {
	if text.Valid {
		err = json.Unmarshal([]byte(text.String), &u)
	}
	return u, err
}
