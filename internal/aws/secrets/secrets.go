// Package secrets reads what Secrets Manager keeps, and reads it again when it may
// have changed.
package secrets

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager/types"

	"github.com/mayfly-ci/mayfly/internal/secret"
)

// The versions of a secret: the one to use, and while it is being replaced the one
// before it.
const (
	current  = "AWSCURRENT"
	previous = "AWSPREVIOUS"
)

// Read returns the value of the secret called id, a name or an ARN.
func Read(ctx context.Context, c *secretsmanager.Client, id string) (secret.Secret, error) {
	return read(ctx, c, id, current)
}

func read(ctx context.Context, c *secretsmanager.Client, id, stage string) (secret.Secret, error) {
	out, err := c.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &id, VersionStage: &stage})
	if err != nil {
		return secret.Secret{}, fmt.Errorf("reading the secret %s: %w", id, err)
	}
	if aws.ToString(out.SecretString) == "" {
		return secret.Secret{}, fmt.Errorf("reading the secret %s: it is empty: want text in it", id)
	}
	return secret.New(*out.SecretString), nil
}

// renewEvery is how often at most a secret is read again: anyone can send a delivery
// with a signature that is wrong.
const renewEvery = time.Minute

// A Rotating is a secret that may be replaced while others sign with it. It may be
// used by several goroutines at once.
type Rotating struct {
	client *secretsmanager.Client
	id     string
	log    *slog.Logger
	now    func() time.Time

	mu     sync.Mutex
	values []secret.Secret
	read   time.Time // when all versions were read; zero before that
}

// Open reads the secret called id as it is now. The version before it is only read
// when [Rotating.Renew] asks: whoever opens a secret is waited for.
func Open(ctx context.Context, c *secretsmanager.Client, id string, log *slog.Logger) (*Rotating, error) {
	value, err := Read(ctx, c, id)
	if err != nil {
		return nil, err
	}
	return &Rotating{client: c, id: id, log: log, now: time.Now, values: []secret.Secret{value}}, nil
}

// Values returns the values that are good, the newest first, as they were last read.
func (r *Rotating) Values() []secret.Secret {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.values
}

// Renew reads the secret again, unless that was less than a minute ago, and returns
// the values that are good. When they cannot be read they stay what they were.
func (r *Rotating) Renew(ctx context.Context) []secret.Secret {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := r.now(); now.Sub(r.read) >= renewEvery {
		r.read = now
		r.renew(ctx)
	}
	return r.values
}

func (r *Rotating) renew(ctx context.Context) {
	now, err := read(ctx, r.client, r.id, current)
	before, berr := read(ctx, r.client, r.id, previous)
	var none *types.ResourceNotFoundException // it was never replaced
	if errors.As(berr, &none) {
		berr = nil
	}
	if err := errors.Join(err, berr); err != nil {
		r.log.Error("reading a secret again", "err", err)
		return
	}
	r.values = []secret.Secret{now}
	if !before.IsZero() {
		r.values = append(r.values, before)
	}
}
