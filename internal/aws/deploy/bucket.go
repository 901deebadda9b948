package deploy

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/mayfly-ci/mayfly/internal/aws/refusal"
)

// A Bucket holds the artifacts of the stack: handlers, programs for the image's build, templates.
// It is not part of the stack, which needs it before it exists.
type Bucket struct {
	Name string

	api    *s3.Client
	owner  string
	region string
}

// BucketName returns the name of the artifact bucket. It contains account and region, because the names
// of buckets are unique across all of AWS.
func BucketName(account, region, stack string) string {
	return fmt.Sprintf("%s-artifacts-%s-%s", stack, account, region)
}

// NewBucket returns the artifact bucket of stack in account. It need not exist.
func NewBucket(c aws.Config, account, stack string) *Bucket {
	return &Bucket{
		Name: BucketName(account, c.Region, stack), api: s3.NewFromConfig(c), owner: account, region: c.Region,
	}
}

// Exists reports whether the bucket exists.
func (b *Bucket) Exists(ctx context.Context) (bool, error) {
	_, err := b.api.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.Name, ExpectedBucketOwner: &b.owner})
	if refusal.Is(err, "NotFound", "NoSuchBucket") {
		return false, nil
	}
	return err == nil, b.failing(err)
}

func (b *Bucket) failing(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("artifact bucket %s: %w", b.Name, err)
}

// Make creates the bucket, unless it exists, and makes sure that it is encrypted, versioned, closed to
// the public, and expires old versions.
func (b *Bucket) Make(ctx context.Context) error {
	there, err := b.Exists(ctx)
	if err == nil && !there {
		in := &s3.CreateBucketInput{Bucket: &b.Name}
		if b.region != "us-east-1" { // which has no constraint of its own
			in.CreateBucketConfiguration = &types.CreateBucketConfiguration{LocationConstraint: types.BucketLocationConstraint(b.region)}
		}
		_, err = b.api.CreateBucket(ctx, in)
		if refusal.Is(err, "BucketAlreadyOwnedByYou") {
			err = nil
		}
	}
	if err != nil {
		return b.failing(err)
	}
	for _, set := range []func(context.Context) error{b.version, b.encrypt, b.closeToPublic, b.expire} {
		if err := set(ctx); err != nil {
			return b.failing(err)
		}
	}
	return nil
}

func (b *Bucket) version(ctx context.Context) error {
	_, err := b.api.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &b.Name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	return err
}

func (b *Bucket) encrypt(ctx context.Context) error {
	_, err := b.api.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{
		Bucket: &b.Name,
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{{
			ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{SSEAlgorithm: types.ServerSideEncryptionAes256},
		}}},
	})
	return err
}

func (b *Bucket) closeToPublic(ctx context.Context) error {
	_, err := b.api.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{
		Bucket: &b.Name,
		PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
			BlockPublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(true),
			IgnorePublicAcls: aws.Bool(true), RestrictPublicBuckets: aws.Bool(true),
		},
	})
	return err
}

// expire expires only versions that are not current, because the stack may need the current ones at any
// time.
func (b *Bucket) expire(ctx context.Context) error {
	_, err := b.api.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
		Bucket: &b.Name,
		LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: aws.String("old"), Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
			NoncurrentVersionExpiration:    &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(30)},
			AbortIncompleteMultipartUpload: &types.AbortIncompleteMultipartUpload{DaysAfterInitiation: aws.Int32(1)},
		}}},
	})
	return err
}

// An Artifact is a file for the bucket. Its key contains the hash of its content, so an object with that
// key is the artifact.
type Artifact struct {
	Key  string
	body []byte
}

// NewArtifact returns body with a key of name, hash and ending.
func NewArtifact(name string, body []byte, ending string) Artifact {
	return Artifact{fmt.Sprintf("%s-%x%s", name, sha256.Sum256(body), ending), body}
}

// Put uploads a unless it exists, and reports whether it did.
func (b *Bucket) Put(ctx context.Context, a Artifact) (bool, error) {
	_, err := b.api.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &b.Name, Key: &a.Key, ExpectedBucketOwner: &b.owner})
	if !refusal.Is(err, "NotFound", "NoSuchKey") {
		return false, b.failing(err)
	}
	sum := sha256.Sum256(a.body)
	_, err = b.api.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &b.Name, Key: &a.Key, Body: bytes.NewReader(a.body), ExpectedBucketOwner: &b.owner,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	})
	return err == nil, b.failing(err)
}

// URL is where CloudFormation reads an artifact.
func (b *Bucket) URL(key string) string {
	host := "amazonaws.com"
	if strings.HasPrefix(b.region, "cn-") {
		host += ".cn"
	}
	return fmt.Sprintf("https://%s.s3.%s.%s/%s", b.Name, b.region, host, key)
}

// Remove removes the bucket with all versions. It returns nil if the bucket does not exist.
func (b *Bucket) Remove(ctx context.Context) error {
	there, err := b.Exists(ctx)
	if err != nil || !there {
		return err
	}
	for pages := s3.NewListObjectVersionsPaginator(b.api, &s3.ListObjectVersionsInput{Bucket: &b.Name}); pages.HasMorePages(); {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return b.failing(err)
		}
		if err := b.removeObjects(ctx, objectsOf(page)); err != nil {
			return b.failing(err)
		}
	}
	_, err = b.api.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &b.Name, ExpectedBucketOwner: &b.owner})
	return b.failing(err)
}

// objectsOf returns the versions and delete markers of a page, 1,000 at most.
func objectsOf(page *s3.ListObjectVersionsOutput) (objects []types.ObjectIdentifier) {
	for _, v := range page.Versions {
		objects = append(objects, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
	}
	for _, m := range page.DeleteMarkers {
		objects = append(objects, types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
	}
	return objects
}

func (b *Bucket) removeObjects(ctx context.Context, objects []types.ObjectIdentifier) error {
	if len(objects) == 0 {
		return nil
	}
	out, err := b.api.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: &b.Name, Delete: &types.Delete{Objects: objects, Quiet: aws.Bool(true)}, ExpectedBucketOwner: &b.owner,
	})
	if err != nil {
		return err
	}
	var faults []error
	for _, e := range out.Errors {
		faults = append(faults, fmt.Errorf("%s: %s", aws.ToString(e.Key), aws.ToString(e.Message)))
	}
	return errors.Join(faults...)
}

// Zip packs files by name. The same files give the same bytes. All are executable.
func Zip(files map[string][]byte) ([]byte, error) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		head := &zip.FileHeader{Name: name, Method: zip.Deflate}
		head.SetMode(fs.FileMode(0o755))
		w, err := z.CreateHeader(head)
		if err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, err
		}
	}
	err := z.Close()
	return b.Bytes(), err
}
