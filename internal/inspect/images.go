package inspect

import (
	"context"
	"time"

	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/pipeline"
)

// Images is which image runners start from, and what comes next.
type Images struct {
	Current *image.Image  `json:"current"` // null when none is
	Runway  *Runway       `json:"runway"`  // null when no end is known
	Next    string        `json:"next"`    // what leads to a newer image
	Alarms  []image.Alarm `json:"alarms"`
	Release image.Release `json:"release"` // the newest that is known
	Feed    image.Feed    `json:"feed"`
	Build   *image.Build  `json:"build"`
	Images  []image.Image `json:"images"`

	// Starts tells how the last runners from each image started, where the ledger has some.
	// Only [Source.ReadImages] looks.
	Starts map[image.Digest]image.Starts `json:"starts,omitempty"`
}

// A Runway is how long GitHub will keep accepting the version that runs.
type Runway struct {
	Days float64   `json:"days"` // negative when the end has passed
	End  time.Time `json:"end"`
}

// ReadImages reads the images, with how runners from each started.
func (s *Source) ReadImages(ctx context.Context, now time.Time) (*Images, error) {
	catalog, err := s.Images(ctx)
	if err != nil {
		return nil, err
	}
	v := imagesOf(catalog, now)
	v.Starts = map[image.Digest]image.Starts{}
	for _, i := range v.Images {
		if i.Promoted.IsZero() {
			continue
		}
		starts, err := pipeline.Starts(ctx, s.Ledger, i.Digest, time.Time{})
		if err != nil {
			return nil, err
		}
		if starts.All > 0 {
			v.Starts[i.Digest] = starts
		}
	}
	return v, nil
}

func imagesOf(c *image.Catalog, now time.Time) *Images {
	v := &Images{
		Next: c.Next(now), Alarms: append([]image.Alarm{}, c.Alarms(now)...), Release: c.Release, Feed: c.Feed, Build: c.Build,
		Images: append([]image.Image{}, c.Images...),
	}
	if current, some := c.Current(); some {
		v.Current = &current
	}
	if left, end := c.Runway(now); !end.IsZero() {
		v.Runway = &Runway{Days: left.Hours() / 24, End: end}
	}
	return v
}
