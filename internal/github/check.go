package github

import (
	"context"
	"errors"
	"net/http"
)

// Check asks GitHub whether it accepts the credential, the App's or the token. The call does not count
// against the hourly limit that jobs need. It does not check permissions: single calls do.
// https://docs.github.com/en/rest/apps/apps#get-the-authenticated-app
// https://docs.github.com/en/rest/rate-limit/rate-limit#get-rate-limit-status-for-the-authenticated-user
func (c *Client) Check(ctx context.Context) error {
	r := request{doing: "asking GitHub whether it takes the credential", scope: AppScope(), method: http.MethodGet, path: "rate_limit", priority: housekeeping}
	if c.key != nil {
		r.path = "app"
	}
	_, err := c.doAs(ctx, c.main, r)
	if c.key == nil && errors.Is(err, ErrNotFound) {
		return nil // an Enterprise Server without rate limits answers 404, but only after it accepted the token
	}
	return err
}
