package store

import (
	"errors"
	"net/url"
	"strings"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	sqlitedriver "modernc.org/sqlite"
)

// The extended result codes that mean what gorm has names for; see "Result and
// Error Codes" of the SQLite documentation.
const (
	codeForeignKey = 787
	codePrimaryKey = 1555
	codeUnique     = 2067
)

// sqliteDialector is gorm's SQLite dialector on the pure-Go driver, with the
// error translation that gorm only knows for the cgo driver.
type sqliteDialector struct{ *sqlite.Dialector }

var _ gorm.ErrorTranslator = sqliteDialector{}

func newSQLite(cfg Config) gorm.Dialector {
	synchronous := "FULL"
	if cfg.FastSync {
		synchronous = "NORMAL"
	}
	q := url.Values{"_txlock": {"immediate"}}
	for _, pragma := range []string{
		"busy_timeout(10000)", "journal_mode(WAL)", "foreign_keys(1)", "synchronous(" + synchronous + ")", "trusted_schema(0)",
	} {
		q.Add("_pragma", pragma)
	}
	// A path is opaque to the driver but for "?", which would start parameters.
	path := (&url.URL{Path: cfg.DSN.Reveal()}).EscapedPath()
	return sqliteDialector{&sqlite.Dialector{DriverName: "sqlite", DSN: "file:" + strings.TrimPrefix(path, "./") + "?" + q.Encode()}}
}

// Translate names duplicate keys and broken references.
func (d sqliteDialector) Translate(err error) error {
	fault, ok := errors.AsType[*sqlitedriver.Error](err)
	if !ok {
		return err
	}
	switch fault.Code() {
	case codePrimaryKey, codeUnique:
		return gorm.ErrDuplicatedKey
	case codeForeignKey:
		return gorm.ErrForeignKeyViolated
	}
	return err
}
