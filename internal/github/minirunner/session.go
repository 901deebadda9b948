package minirunner

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"

	"github.com/mayfly-ci/mayfly/internal/github/minirunner/wire"
)

// conflictTries is how often a session is tried to be had that the runner has
// elsewhere: for four minutes (BrokerMessageListener.cs).
const conflictTries = 8

const registrationGone = "Failed to create a session. The runner registration has been deleted from the server, please re-configure. " +
	"Runner registrations are automatically deleted for runners that have not connected to the service recently."

// connect opens a session, and tries for as long as it may help. An error of its
// own is an [ending], which the person has been told of.
func (l *listener) connect(ctx context.Context) error {
	for failures, conflicts := 0, 0; ; failures++ {
		err := l.openSession(ctx)
		switch status := wire.Status(err); {
		case err == nil:
			if failures > 0 {
				l.say("Runner reconnected.")
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case status == http.StatusConflict:
			l.complain("A session for this runner already exists.")
			if conflicts++; conflicts >= conflictTries {
				l.complain("Stop retry on SessionConflictException after retried for %v seconds.", (conflictTries * l.Pauses.Session).Seconds())
				l.complain("Failed to create session. %s", wire.Reason(err))
				return &ending{code: ExitConflict}
			}
		default:
			if end := l.noSession(err); end != nil {
				return end
			}
		}
		l.trace.Error("creating a session", "err", err)
		if failures == 0 {
			l.complain("%s: Runner connect error: %s. Retrying until reconnected.", l.stamp(), sessionReason(err))
		}
		if err := wire.Sleep(ctx, l.Pauses.Session); err != nil {
			return err
		}
	}
}

// noSession is an error after which another attempt is useless.
func (l *listener) noSession(err error) *ending {
	var refused *wire.OAuthError
	switch {
	case errors.As(err, &refused) && refused.Code == "invalid_client":
		l.complain(registrationGone)
	case errors.As(err, &refused) && strings.Contains(refused.Description, "Current server time is"):
		l.complain("The local machine's clock may be out of sync with the server time by more than five minutes. " +
			"Please sync your clock with your domain or internet time and try again.")
		return nil
	case wire.Status(err) == http.StatusForbidden || wire.Status(err) == http.StatusUnauthorized:
		l.complain("Failed to create session. %s", wire.Reason(err))
	default:
		return nil
	}
	return &ending{code: ExitTerminated}
}

// sessionReason is the message of GitHub's runner about an error other than a conflict.
func sessionReason(err error) string {
	if status := wire.Status(err); status == 0 || status == http.StatusConflict {
		return wire.Reason(err)
	}
	return "Failed to create broker session: " + wire.Reason(err)
}

// openSession asks the server where things are, gets an access token and makes the
// session.
func (l *listener) openSession(ctx context.Context) error {
	if err := l.locate(ctx); err != nil {
		return err
	}
	fmt.Fprint(l.Out, "\n√ Connected to GitHub\n\n")
	if err := l.login(ctx); err != nil {
		return err
	}
	host, _ := os.Hostname() // it is for people
	var made struct {
		SessionID string `json:"sessionId"`
	}
	err := l.call(ctx, http.MethodPost, "session", map[string]any{
		"sessionId": "00000000-0000-0000-0000-000000000000", "ownerName": fmt.Sprintf("%s (PID: %d)", host, os.Getpid()),
		"agent": map[string]any{
			"id": l.Identity.ID, "name": l.Identity.Name, "version": l.Version, "osDescription": "Linux",
			"ephemeral": nil, "status": 0, "provisioningState": nil,
		},
		"useFipsEncryption": false,
	}, &made)
	if err != nil {
		return err
	}
	if made.SessionID == "" {
		return errors.New("the answer has no sessionId")
	}
	l.session = made.SessionID
	return nil
}

// locate makes the call with which a connection to the server begins (VssConnection).
func (l *listener) locate(ctx context.Context) error {
	if l.Identity.Server == l.Identity.Broker {
		return nil
	}
	address := strings.TrimSuffix(l.Identity.Server, "/") + "/_apis/connectionData?connectOptions=1&lastChangeId=-1&lastChangeId64=-1"
	var answer struct {
		Locations json.RawMessage `json:"locationServiceData"`
	}
	if err := l.plain.Call(ctx, http.MethodGet, address, nil, &answer); err != nil {
		return err
	}
	if len(answer.Locations) == 0 {
		return errors.New("the answer of connectionData has no locationServiceData")
	}
	l.cacheLocations(ctx, answer.Locations)
	return nil
}

// closeSession ends the session. GitHub may have ended it before, with the runner.
func (l *listener) closeSession(ctx context.Context) {
	if l.session == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sessionEnd)
	defer cancel()
	if err := l.call(ctx, http.MethodDelete, "session", nil, nil); err != nil {
		l.trace.Info("ignoring an error of deleting the session", "err", err)
	}
}
