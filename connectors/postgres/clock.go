package postgres

import (
	"context"
	"time"

	"github.com/mixsync/mixsync/connectors/warehouse"
)

// clockSQL asks for the time and for the oldest transaction of this database
// that has written and not ended. Autovacuum writes statistics, not rows. Of a
// prepared transaction the catalogue only keeps when it was prepared.
const clockSQL = `
SELECT CAST(extract(epoch FROM now()) * 1000000 AS bigint),
  pg_catalog.pg_is_in_recovery(),
  pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
  CAST(extract(epoch FROM writer.since) * 1000000 AS bigint),
  writer.name
FROM (SELECT) AS one LEFT JOIN (
  SELECT a.xact_start, CAST(a.pid AS text)
  FROM pg_catalog.pg_stat_activity a
  WHERE a.datname = current_database() AND a.backend_xid IS NOT NULL AND a.xact_start IS NOT NULL
    AND a.pid <> pg_backend_pid() AND a.backend_type <> 'autovacuum worker'
  UNION ALL
  SELECT p.prepared, 'prepared transaction ' || p.gid
  FROM pg_catalog.pg_prepared_xacts p WHERE p.database = current_database()
  ORDER BY 1 LIMIT 1
) AS writer(since, name) ON true`

// Clock reads the server's clock and the oldest transaction that is writing.
func (d *Driver) Clock(ctx context.Context) (warehouse.Clock, error) {
	found, err := d.ask(ctx, clockSQL)
	if err != nil {
		return warehouse.Clock{}, err
	}
	row := found[0]
	now, err := instant(row[0])
	if err != nil {
		return warehouse.Clock{}, err
	}
	clock := warehouse.Clock{Now: now}
	switch {
	case isTrue(row[1]):
		clock.Blind = "this server is a standby, which does not see the transactions of its primary"
	case !isTrue(row[2]):
		clock.Blind = "the role may not see other sessions: GRANT pg_read_all_stats TO it"
	}
	if row[3] != nil {
		if clock.OldestWrite, err = instant(row[3]); err != nil {
			return warehouse.Clock{}, err
		}
		clock.Writer = string(row[4])
	}
	return clock, nil
}

func instant(micros []byte) (time.Time, error) {
	cursor, err := warehouse.ParseCursor(warehouse.Int, string(micros))
	if err != nil {
		return time.Time{}, warehouse.Errorf(warehouse.ClassQuery, "", "the server's clock: %w", err)
	}
	return time.UnixMicro(cursor.Ticks).UTC(), nil
}
