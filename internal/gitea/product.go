package gitea

import "github.com/mayfly-ci/mayfly/internal/forge"

// Product is Gitea's runner, as it is published since 1.0.0: one static program for each platform,
// with its checksum beside it. Gitea takes runners of any age.
//
//   - https://docs.gitea.com/runner/ says where files and checksums are
//   - .goreleaser.yaml of https://gitea.com/gitea/runner makes their names
//   - https://gitea.com/api/v1/repos/gitea/runner/releases/latest tells the newest
var Product = forge.Product{
	Name: "Gitea's runner", Page: "https://dl.gitea.com/gitea-runner/",
	Feed: "https://gitea.com/api/v1", Releases: "/repos/gitea/runner/releases",
	Downloads: "https://dl.gitea.com/gitea-runner",
	Layout:    "{version}/gitea-runner-{version}-linux-{platform}",
	Platforms: map[string]string{"amd64": "amd64", "arm64": "arm64"},
	SumBeside: true, Lasting: true,
}
