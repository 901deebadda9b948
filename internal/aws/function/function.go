// Package function is what Mayfly's functions have of Lambda: how to reach AWS, as
// Lambda's environment tells it, and requests to a Function URL as plain net/http.
//
// A function is started for the first request and after each pause, while GitHub
// waits, so that this imports little.
package function

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// Config is how to reach AWS, from the variables that Lambda sets; getenv is such as
// [os.Getenv]. The SDK's own module for this asks everywhere else, too, such as files
// and single sign-on, and is half the size of a function.
//
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
func Config(getenv func(name string) string) aws.Config {
	c := aws.Config{
		Region: getenv("AWS_REGION"),
		Credentials: credentials.NewStaticCredentialsProvider(
			getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN")),
	}
	if url := getenv("AWS_ENDPOINT_URL"); url != "" {
		c.BaseEndpoint = aws.String(url)
	}
	return c
}
