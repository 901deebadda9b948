package tool

import "time"

// onlyAWS is for commands that are about AWS whatever the configuration says.
type onlyAWS struct{}

// OnAWS says so.
func (onlyAWS) OnAWS(*Globals) (bool, error) { return true, nil }

// Deploy has the flags of `mayfly deploy`, which mayfly-aws runs.
type Deploy struct {
	PrintTemplate bool          `help:"Print the stack's template and exit."`
	Plan          bool          `help:"Show what would change, and change nothing."`
	JSON          bool          `help:"With --plan, print JSON."`
	NoStack       bool          `help:"Leave creating and updating the stack to something else, such as Terraform. Without a stack, stop after the artifacts."`
	Programs      string        `help:"Folder with prebuilt programs for AWS: ARCH/NAME." type:"existingdir" placeholder:"DIR"`
	Parameters    string        `help:"Write the template's parameters to this file, as JSON." type:"path" placeholder:"FILE"`
	Ignore        bool          `name:"ignore-permissions" help:"Go on although IAM's simulation finds missing permissions."`
	AllowLoss     []string      `help:"Update the stack although the data of RESOURCE is lost, such as Archive; --plan shows the names." placeholder:"RESOURCE"`
	Look          time.Duration `help:"Time between looks at what AWS is doing." default:"3s" hidden:""`
	ImageFlags
	onlyAWS
}

// ImageFlags are what an image on AWS is built from.
type ImageFlags struct {
	Source  string `help:"Folder with the image's source, in place of the configuration's." type:"existingdir" placeholder:"DIR"`
	Version string `name:"runner-version" help:"Version of GitHub's runner to build, such as 2.336.0; the newest by default." placeholder:"VERSION"`
	SHA256  string `name:"sha256" help:"SHA-256 of that runner's archive." placeholder:"HEX"`
	Archive string `name:"agent-archive" help:"That runner's archive, in place of a download in AWS: actions-runner-linux-x64-VERSION.tar.gz." type:"existingfile" placeholder:"FILE"`
}

// Destroy has the flags of `mayfly destroy`, which mayfly-aws runs.
type Destroy struct {
	Yes      bool          `help:"Do not ask for the stack's name first."`
	KeepData bool          `help:"Keep the event bus with its archive, and the logs."`
	JSON     bool          `help:"Print what is left as JSON."`
	Look     time.Duration `help:"Time between looks at what AWS is doing." default:"3s" hidden:""`

	onlyAWS
}

// Doctor has the flags of `mayfly doctor`, which mayfly-aws runs.
type Doctor struct {
	JSON bool `help:"Print JSON."`

	onlyAWS
}
