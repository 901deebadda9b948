package tool

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"

	"github.com/mayfly-ci/mayfly/internal/cli"
	"github.com/mayfly-ci/mayfly/internal/config"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/inspect"
	"github.com/mayfly-ci/mayfly/internal/secret"
	"github.com/mayfly-ci/mayfly/internal/web"
)

// pageCmd is `mayfly page`.
type pageCmd struct {
	PlatformFlag
	State  string `help:"State folder, in place of the configuration's." type:"path" placeholder:"DIR"`
	Listen string `help:"Address and port to serve at, of this machine only." default:"127.0.0.1:0" placeholder:"HOST:PORT"`
}

func (c *pageCmd) reading() Reading { return Reading{PlatformFlag: c.PlatformFlag, State: c.State} }

// OnAWS reports whether the page is of a stack.
func (c *pageCmd) OnAWS(all *Globals) (bool, error) { return c.reading().OnAWS(all) }

// Run serves the page until ctx ends.
func (c *pageCmd) Run(ctx context.Context, all *Globals, screen *cli.Screen, log *slog.Logger) error {
	if !config.Loopback(c.Listen) {
		return cli.Usage(fmt.Errorf("--listen %q: want an address of this machine only, such as 127.0.0.1:8081", c.Listen),
			"page: in the configuration is for a page that others reach, which mayfly up serves")
	}
	token, made, err := c.token(all.Config)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return err
	}
	page := NewPage(Call{all, screen, log}, c.reading(), web.Access{Loopback: true, Token: token})
	defer page.Close()
	fmt.Fprintf(screen.Out, "page at http://%s\n", l.Addr())
	if made {
		fmt.Fprintf(screen.Out, "to act on it, log in with the token %s\n", token.Reveal())
	}
	return page.Serve(ctx, l)
}

// token returns the token of the configuration, or one for this run alone.
func (c *pageCmd) token(path string) (token secret.Secret, made bool, err error) {
	file, err := config.ReadPart(path)
	if err == nil && file.Page.Token != "" {
		token, err = file.ResolvePage(os.LookupEnv)
		return token, false, err
	}
	if err != nil && (c.State == "" || !errors.Is(err, fs.ErrNotExist)) {
		return token, false, err
	}
	return secret.New(rand.Text()), true, nil
}

// NewPage returns the page of what r names. The caller closes it.
func NewPage(c Call, r Reading, access web.Access) *web.Page {
	platform := c.Program.Platform
	return web.New(web.Config{
		Open: func(ctx context.Context) (*inspect.Source, error) { return platform.Open(ctx, c.Globals, r, c.Log) },
		Order: func(ctx context.Context, o image.Order) (image.Digest, error) {
			return platform.Images(c, r).Order(ctx, o)
		},
		Access: access, Version: c.Program.Version, Log: c.Log,
	})
}

// ServePage serves the page of a configuration until ctx ends. A page that cannot listen keeps no
// job from its runner: the log says so, and all else goes on.
func ServePage(ctx context.Context, c Call, s Setup) error {
	p := s.Page
	if p.Listen == config.PageOff {
		return nil
	}
	from, err := p.Proxy.Networks()
	if err != nil {
		return err
	}
	jobs := s.Limits.Pools.OnHostNetwork()
	if jobs != "" && s.Secrets.Page.IsZero() && p.Proxy.Header == "" {
		c.Log.Warn("the page is not served: jobs of a pool with network: host could read it, and nobody can log in", "pool", jobs,
			"hint", "set page.token, or page.listen: none; docs/page.md tells more")
		return nil
	}
	l, err := net.Listen("tcp", p.Listen)
	if err != nil {
		c.Log.Error("the page is not served", "err", err, "hint", "choose another address with page.listen in the configuration, or none")
		return nil
	}
	c.Log.Info("serving the page", "page", "http://"+l.Addr().String())
	page := NewPage(c, Reading{State: s.State}, web.Access{
		Loopback: config.Loopback(p.Listen), Jobs: jobs != "", Hosts: p.Hosts, Token: s.Secrets.Page, Header: p.Proxy.Header, Proxies: from,
	})
	return errors.Join(page.Serve(ctx, l), page.Close())
}
