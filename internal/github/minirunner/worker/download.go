package worker

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// download puts an action into _actions/OWNER/NAME/REF, unless it is there: it is
// unpacked aside with tar, and a file beside it says when it is complete.
func (j *job) download(ctx context.Context, s *step, info downloadInfo) error {
	dir := j.actionDir(reference{Name: info.Name, Ref: info.Version})
	if _, err := os.Stat(dir + ".completed"); err == nil {
		return nil
	}
	s.log(fmt.Sprintf("Download action repository '%s@%s' (SHA:%s)", info.Name, info.Version, info.ResolvedSHA))
	aside, err := os.MkdirTemp(j.work("_actions"), "_temp_")
	if err != nil {
		return err
	}
	defer os.RemoveAll(aside)
	archive := filepath.Join(aside, "action.tar.gz")
	if err := j.downloadArchive(ctx, s, info, archive); err != nil {
		return err
	}
	if err := j.unpack(ctx, archive, dir); err != nil {
		return err
	}
	return os.WriteFile(dir+".completed", []byte(j.stamp()), 0o644)
}

// downloadArchive tries up to three times. 404 and 403 are final.
func (j *job) downloadArchive(ctx context.Context, s *step, info downloadInfo, file string) error {
	for try := 1; ; try++ {
		err := j.save(ctx, info, file)
		switch status := wire.Status(err); {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case status == http.StatusNotFound:
			return wire.Said("An action could not be found at the URI '%s'", info.TarURL)
		case status == http.StatusForbidden:
			return wire.Said("Access denied to '%s'", info.TarURL)
		case try == downloadTries:
			return wire.Said("Failed to download archive '%s' after %d attempts.", info.TarURL, try)
		}
		s.warn(fmt.Sprintf("Failed to download action '%s'. Error: %s", info.TarURL, wire.Reason(err)))
		if err := j.backOff(ctx, func(seconds float64) { s.warn(fmt.Sprintf("Back off %v seconds before retry.", seconds)) }); err != nil {
			return err
		}
	}
}

// save downloads an action's archive, with the token that came with its address,
// or else the job's.
func (j *job) save(ctx context.Context, info downloadInfo, file string) error {
	token := j.message.Variables["system.github.token"].Value
	if info.Authentication != nil && info.Authentication.Token != "" {
		token = info.Authentication.Token
		j.masks.add(token)
	}
	basic := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token))
	j.masks.add(basic)
	caller := wire.Caller{HTTP: j.config.HTTP, Authorization: "Basic " + basic, UserAgent: j.config.UserAgent}
	return caller.Save(ctx, info.TarURL, file)
}

// unpack unpacks an archive, which has one folder on its top, to dir.
func (j *job) unpack(ctx context.Context, archive, dir string) error {
	tar, err := j.which("tar")
	if err != nil {
		return err
	}
	staging := filepath.Join(filepath.Dir(archive), "_staging")
	if err := os.MkdirAll(staging, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, tar, "-xzf", archive)
	cmd.Dir, cmd.Env = staging, j.plainEnv()
	if printed, err := cmd.CombinedOutput(); err != nil {
		return wire.Said("Can't use 'tar -xzf' extract archive file: %s (tar outputs '%s'): %v", archive, printed, err)
	}
	top, err := os.ReadDir(staging)
	if err != nil {
		return err
	}
	if len(top) != 1 || !top[0].IsDir() {
		return fmt.Errorf("'%s' contains '%d' directories", archive, len(top))
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	return os.Rename(filepath.Join(staging, top[0].Name()), dir)
}
