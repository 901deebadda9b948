package inspect

import "github.com/mayfly-ci/mayfly/internal/forge"

// An Inquiry is what the forge said of a job that Mayfly was not told of.
type Inquiry struct {
	Status     string           `json:"status"`     // of the job, such as queued; "" if the forge does not know it
	URL        string           `json:"url"`        // its page
	Deliveries []forge.Delivery `json:"deliveries"` // of this job, the newest first, as far as the forge tells
	Fault      string           `json:"fault,omitempty"`
}
