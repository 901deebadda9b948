package catalog_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/catalog"
	"github.com/mayfly-ci/mayfly/internal/image"
	"github.com/mayfly-ci/mayfly/internal/image/imagetest"
)

// faulty puts a test's fault around each write.
type faulty struct {
	commit func(write func() error) error
}

func (f faulty) Do(r *http.Request) (res *http.Response, err error) {
	if f.commit == nil || !strings.HasSuffix(r.Header.Get("X-Amz-Target"), ".PutItem") {
		return http.DefaultClient.Do(r)
	}
	fault := f.commit(func() error { res, err = http.DefaultClient.Do(r); return err })
	if fault == nil {
		return res, err
	}
	if res != nil {
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
	}
	return nil, fault
}

func TestContract(t *testing.T) {
	cloud := awstest.Start(t)
	db := dynamodb.NewFromConfig(cloud.Config)
	tables := map[string]string{} // by folder
	imagetest.Test(t, func(t *testing.T, c imagetest.Config) image.Store {
		if tables[c.Dir] == "" {
			tables[c.Dir] = "t" + strings.NewReplacer("/", "-", ".", "-").Replace(c.Dir[max(0, len(c.Dir)-200):])
			if _, err := db.CreateTable(t.Context(), awstest.LedgerTable(tables[c.Dir])); err != nil {
				t.Fatal(err)
			}
		}
		config := cloud.Config
		config.HTTPClient = faulty{c.Commit}
		config.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
		return catalog.New(config, catalog.Config{Table: tables[c.Dir], Architecture: "amd64", Settings: c.Settings, Now: c.Now})
	})
}
