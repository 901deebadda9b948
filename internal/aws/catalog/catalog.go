// Package catalog keeps the image catalog of a stack: for each architecture one item of
// the ledger's table, written on the condition that nobody wrote it meanwhile.
package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"github.com/mayfly-ci/mayfly/internal/image"
)

// Config is what a [Catalog] needs.
type Config struct {
	Table        string // the ledger's
	Architecture string // amd64 or arm64
	Settings     image.Settings
	Now          func() time.Time // time.Now if nil
}

// A Catalog is an [image.Store] in DynamoDB.
type Catalog struct {
	config Config
	db     *dynamodb.Client
}

var _ image.Store = (*Catalog)(nil)

// New returns the catalog of an architecture. Nothing is asked of AWS yet.
func New(c aws.Config, config Config) *Catalog {
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Catalog{config, dynamodb.NewFromConfig(c)}
}

// The item. Its keys are the table's; see package ledger/dynamo.
const (
	keyPartition = "pk"
	keySort      = "sk"
	partition    = "images"
	attrBody     = "body"    // S, JSON
	attrVersion  = "version" // N, from 1
)

func (c *Catalog) key() map[string]types.AttributeValue {
	return map[string]types.AttributeValue{
		keyPartition: &types.AttributeValueMemberS{Value: partition}, keySort: &types.AttributeValueMemberS{Value: c.config.Architecture},
	}
}

// tries is how often a write is begun anew because somebody else was faster. Few write
// at all: a function each hour, one for each build, and a person.
const tries = 40

// Apply implements [image.Store].
func (c *Catalog) Apply(ctx context.Context, in image.Input) (image.Result, error) {
	for range tries {
		catalog, version, err := c.read(ctx)
		if err != nil {
			return image.Result{}, err
		}
		result := catalog.Apply(in, c.config.Settings, c.config.Now())
		if !result.Changed {
			return result, nil
		}
		err = c.write(ctx, catalog, version)
		if conflict := (*types.ConditionalCheckFailedException)(nil); !errors.As(err, &conflict) {
			if err != nil {
				err = fmt.Errorf("image catalog: applying %T: %w", in, err)
			}
			return result, err
		}
	}
	return image.Result{}, fmt.Errorf("image catalog: applying %T: others were faster %d times", in, tries)
}

// Catalog implements [image.Store].
func (c *Catalog) Catalog(ctx context.Context) (*image.Catalog, error) {
	catalog, _, err := c.read(ctx)
	return catalog, err
}

// read returns the catalog and its version; an empty one of version 0 when there is none.
func (c *Catalog) read(ctx context.Context) (*image.Catalog, int, error) {
	out, err := c.db.GetItem(ctx, &dynamodb.GetItemInput{TableName: &c.config.Table, Key: c.key(), ConsistentRead: aws.Bool(true)})
	if err != nil {
		return nil, 0, fmt.Errorf("reading the image catalog: %w", err)
	}
	var catalog image.Catalog
	if out.Item == nil {
		return &catalog, 0, nil
	}
	body, _ := out.Item[attrBody].(*types.AttributeValueMemberS)
	number, _ := out.Item[attrVersion].(*types.AttributeValueMemberN)
	if body == nil || number == nil {
		return nil, 0, fmt.Errorf("image catalog in %s: want the attributes %s and %s", c.config.Table, attrBody, attrVersion)
	}
	version, err := strconv.Atoi(number.Value)
	if err != nil {
		return nil, 0, fmt.Errorf("image catalog in %s: version: %w", c.config.Table, err)
	}
	if err := json.Unmarshal([]byte(body.Value), &catalog); err != nil {
		return nil, 0, fmt.Errorf("image catalog in %s: %w", c.config.Table, err)
	}
	return &catalog, version, nil
}

// write writes catalog in place of version; a [types.ConditionalCheckFailedException]
// says that there is another by now.
func (c *Catalog) write(ctx context.Context, catalog *image.Catalog, version int) error {
	body, err := json.Marshal(catalog)
	if err != nil {
		return err
	}
	item := c.key()
	item[attrBody] = &types.AttributeValueMemberS{Value: string(body)}
	item[attrVersion] = &types.AttributeValueMemberN{Value: strconv.Itoa(version + 1)}
	in := &dynamodb.PutItemInput{TableName: &c.config.Table, Item: item, ConditionExpression: aws.String("attribute_not_exists(pk)")}
	if version > 0 {
		in.ConditionExpression = aws.String("#v = :v")
		in.ExpressionAttributeNames = map[string]string{"#v": attrVersion}
		in.ExpressionAttributeValues = map[string]types.AttributeValue{":v": &types.AttributeValueMemberN{Value: strconv.Itoa(version)}}
	}
	_, err = c.db.PutItem(ctx, in)
	return err
}
