package store

import (
	"errors"
	"net/url"
	"strings"

	"gorm.io/driver/sqlite"
	"gorm.io/gorm"
	sqlitedriver "modernc.org/sqlite"
)

// The extended result codes for which gorm has errors; see "Result and Error Codes" of the SQLite documentation.
const (
	codeForeignKey = 787
	codePrimaryKey = 1555
	codeUnique     = 2067
)

// The primary result codes of statements that can't succeed.
const (
	codeError      = 1
	codeConstraint = 19
	codeMismatch   = 20
	codeMisuse     = 21
	codeRange      = 25
)

// sqliteDialector is gorm's SQLite dialector for the pure-Go driver. gorm itself translates errors only of the cgo
// driver.
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
	// The driver passes a path on unchanged, except that "?" starts parameters.
	path := (&url.URL{Path: cfg.DSN.Reveal()}).EscapedPath()
	return sqliteDialector{&sqlite.Dialector{DriverName: "sqlite", DSN: "file:" + strings.TrimPrefix(path, "./") + "?" + q.Encode()}}
}

// Translate maps duplicate keys and broken references to gorm's errors.
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
