package build

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecr"
	"github.com/aws/aws-sdk-go-v2/service/ecr/types"
)

// An Image is one in ECR.
type Image struct {
	Digest       string // sha256:…
	Tag          string
	Pushed       time.Time
	Bytes        int64
	Version      string // of the runner
	Revision     string // of the source
	Architecture string

	number int // of its build; a project counts on
}

// Images is a repository of ECR.
type Images struct {
	Repository string
	api        *ecr.Client
}

// NewImages returns the repository called name.
func NewImages(c aws.Config, name string) *Images {
	return &Images{Repository: name, api: ecr.NewFromConfig(c)}
}

// tag is how a build names its image: version, revision, architecture, number.
var tag = regexp.MustCompile(`^([0-9]+\.[0-9]+\.[0-9]+)-([0-9a-z]+)-(amd64|arm64)-([0-9]+)$`)

// List returns the images that builds of ours pushed, the newest first.
func (i *Images) List(ctx context.Context) (all []Image, err error) {
	for pages := ecr.NewDescribeImagesPaginator(i.api, &ecr.DescribeImagesInput{RepositoryName: &i.Repository}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, fmt.Errorf("images in %s: %w", i.Repository, err)
		}
		for _, d := range page.ImageDetails {
			if image, ok := newImage(d); ok {
				all = append(all, image)
			}
		}
	}
	slices.SortFunc(all, func(a, b Image) int { return cmp.Or(b.Pushed.Compare(a.Pushed), cmp.Compare(b.number, a.number)) })
	return all, nil
}

func newImage(d types.ImageDetail) (Image, bool) {
	for _, t := range d.ImageTags {
		if m := tag.FindStringSubmatch(t); m != nil {
			number, _ := strconv.Atoi(m[4])
			return Image{
				Digest: aws.ToString(d.ImageDigest), Tag: t, Pushed: aws.ToTime(d.ImagePushedAt), Bytes: aws.ToInt64(d.ImageSizeInBytes),
				Version: m[1], Revision: m[2], Architecture: m[3], number: number,
			}, true
		}
	}
	return Image{}, false
}

// Remove removes images; one that is gone is none to remove.
func (i *Images) Remove(ctx context.Context, digests ...string) error {
	var ids []types.ImageIdentifier
	for _, d := range digests {
		ids = append(ids, types.ImageIdentifier{ImageDigest: aws.String(d)})
	}
	if len(ids) == 0 {
		return nil
	}
	out, err := i.api.BatchDeleteImage(ctx, &ecr.BatchDeleteImageInput{RepositoryName: &i.Repository, ImageIds: ids})
	if err != nil {
		return fmt.Errorf("removing images from %s: %w", i.Repository, err)
	}
	var faults []error
	for _, f := range out.Failures {
		if f.FailureCode != types.ImageFailureCodeImageNotFound && f.ImageId != nil {
			faults = append(faults, fmt.Errorf("removing image %s from %s: %s", aws.ToString(f.ImageId.ImageDigest), i.Repository, aws.ToString(f.FailureReason)))
		}
	}
	return errors.Join(faults...)
}
