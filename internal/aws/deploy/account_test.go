package deploy_test

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/deploy"
)

func TestAccountHasECS(t *testing.T) {
	cloud := awstest.Start(t)
	a := &deploy.Account{Config: cloud.Config}
	if err := a.Identify(t.Context()); err != nil || a.ID != awstest.Account {
		t.Fatalf("account %q, %v", a.ID, err)
	}
	if err := a.LinkECS(t.Context()); err != nil {
		t.Fatal(err)
	}
	roles, err := iam.NewFromConfig(cloud.Config).ListRoles(t.Context(), &iam.ListRolesInput{PathPrefix: aws.String("/aws-service-role/ecs.amazonaws.com/")})
	if err != nil || len(roles.Roles) != 1 {
		t.Errorf("roles of ECS: %+v, %v: want one", roles, err)
	}
}
