package disk

import (
	"database/sql"
	"errors"
	"fmt"
	"sync"
)

// statements caches prepared statements by their text.
type statements struct {
	mu     sync.Mutex
	byText map[string]*sql.Stmt // guarded by mu
}

// get returns the statement of query, prepared the first time.
func (s *statements) get(query string, prepare func() (*sql.Stmt, error)) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if stmt, ok := s.byText[query]; ok {
		return stmt, nil
	}
	stmt, err := prepare()
	if err != nil {
		return nil, fmt.Errorf("statement %q: %w", query, Explain(err))
	}
	if s.byText == nil {
		s.byText = map[string]*sql.Stmt{}
	}
	s.byText[query] = stmt
	return stmt, nil
}

// close closes the statements. SQLite keeps the files of a connection open while it has one, and
// database/sql does not close those of a [sql.Conn].
func (s *statements) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, stmt := range s.byText {
		errs = append(errs, stmt.Close())
	}
	s.byText = nil
	return errors.Join(errs...)
}
