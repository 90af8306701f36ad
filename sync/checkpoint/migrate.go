package checkpoint

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// migrations/NNNN.sql takes the schema from version NNNN-1 to NNNN. A file that
// has been released is never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

// schemaVersion is the schema this binary reads and writes.
const schemaVersion = 2

// migrate brings the schema up to schemaVersion in one transaction. Several
// processes may start at once: the write lock lets one of them do it.
func (s *Store) migrate(ctx context.Context) error {
	if v, err := s.version(ctx, s.w); err != nil || v == schemaVersion {
		return err
	}
	return s.write(ctx, "migrate", func(tx *tx) error {
		if s.dialect.shared {
			// One process at a time: 0x6d697873 is "mixs".
			if _, err := tx.ExecContext(ctx, `SELECT pg_advisory_xact_lock(1835628659)`); err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, `CREATE SCHEMA IF NOT EXISTS `+pgSchema); err != nil {
				return err
			}
		}
		v, err := s.version(ctx, tx)
		if err != nil || v == schemaVersion {
			return err
		}
		if v == 0 {
			const q = `CREATE TABLE schema_migrations (version BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL)`
			if _, err := tx.ExecContext(ctx, q); err != nil {
				return err
			}
		}
		now := time.Now().UnixMicro()
		for v++; v <= schemaVersion; v++ {
			ddl, err := migrations.ReadFile(fmt.Sprintf("migrations/%04d.sql", v))
			if err != nil {
				return err
			}
			if _, err := tx.ExecContext(ctx, s.dialect.words.Replace(string(ddl))); err != nil {
				return fmt.Errorf("to version %d: %w", v, err)
			}
			if _, err := tx.ExecContext(ctx, `INSERT INTO schema_migrations (version, applied_at) VALUES (?, ?)`, v, now); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO state (one, uuid, made_at) VALUES (1, ?, ?) ON CONFLICT (one) DO NOTHING`,
			uuid.NewString(), now)
		return err
	})
}

// version reads the schema's version, 0 for an empty database. A version above
// ours, and a database that is somebody else's, are errors.
func (s *Store) version(ctx context.Context, db querier) (int, error) {
	var tables, ours int
	err := db.QueryRowContext(ctx, s.dialect.tables).Scan(&tables, &ours)
	if err != nil || tables == 0 {
		return 0, err
	}
	var v sql.NullInt64
	if ours == 1 {
		if err := db.QueryRowContext(ctx, `SELECT MAX(version) FROM schema_migrations`).Scan(&v); err != nil {
			return 0, err
		}
	}
	switch {
	case v.Int64 == 0:
		return 0, &Error{Kind: KindNotDatabase, Path: s.name(), Hint: "point the state at a file of its own",
			Err: errors.New("the database holds tables that are not mixsync's")}
	case v.Int64 > schemaVersion:
		return 0, &Error{Kind: KindNewer, Path: s.name(),
			Hint: "use the newer mixsync here, or a state of its own for this one",
			Err:  fmt.Errorf("%w: schema version %d, this binary knows %d", ErrNewer, v.Int64, schemaVersion)}
	}
	return int(v.Int64), nil
}
