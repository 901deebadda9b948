package imagetest

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/mayfly-ci/mayfly/internal/image"
)

// A Memory is an [image.Store] that keeps nothing longer than the process.
type Memory struct {
	Settings image.Settings
	Now      func() time.Time
	Commit   func(write func() error) error // as in [Config]; nil for the write alone

	mu   sync.Mutex
	body []byte // JSON, as other stores keep it; guarded by mu
}

// Apply implements [image.Store].
func (m *Memory) Apply(_ context.Context, in image.Input) (image.Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, err := m.read()
	if err != nil {
		return image.Result{}, err
	}
	result := c.Apply(in, m.Settings, m.Now())
	write := func() error { m.body, err = json.Marshal(c); return err }
	if m.Commit == nil {
		return result, write()
	}
	return result, m.Commit(write)
}

// Catalog implements [image.Store].
func (m *Memory) Catalog(context.Context) (*image.Catalog, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.read()
}

func (m *Memory) read() (*image.Catalog, error) {
	var c image.Catalog
	if m.body == nil {
		return &c, nil
	}
	return &c, json.Unmarshal(m.body, &c)
}
