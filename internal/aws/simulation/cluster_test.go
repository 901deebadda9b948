package simulation

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A cluster is ECS with the task definitions and the hosts of the template.
type cluster struct {
	*world
	arn         string
	definitions map[string]definition // by family
	groups      map[string]*hosts     // by the capacity provider's name
	runs        *bucket               // RunTask; mu, as all below
	describes   *bucket
	tasks       map[string]*task // by id
	last        int
}

// A definition is what matters of a task definition here.
type definition struct {
	Family, Cpu, Memory string
	TaskRoleArn         string
}

// runTask is what a rule runs.
type runTask struct {
	TaskDefinitionArn        string
	TaskCount                int
	CapacityProviderStrategy []struct{ CapacityProvider string }
}

// A task is one from RunTask to its end.
type task struct {
	id         string
	definition definition
	overrides  json.RawMessage
	group      *hosts
	cpu, mem   int // that it takes: units, MiB
	status     string
	host       *host // mu, as all below
	created    time.Time
	started    time.Time
	stop       context.CancelCauseFunc // ends its container; nil while there is none
	code       int
	stopCode   string
	reason     string
	ended      bool
}

func openCluster(w *world) *cluster {
	c := &cluster{
		world: w, arn: w.stack.Value("Cluster.Arn"), definitions: map[string]definition{}, groups: map[string]*hosts{}, tasks: map[string]*task{},
		runs: newBucket(runTaskRate, runTaskBurst), describes: newBucket(describeRate, describeBurst),
	}
	for _, id := range w.stack.Of("AWS::ECS::TaskDefinition") {
		var d definition
		w.stack.Read(id, &d)
		c.definitions[d.Family] = d
	}
	for _, id := range w.stack.Of("AWS::ECS::CapacityProvider") {
		c.groups[id] = c.openHosts(id)
	}
	return c
}

// run is RunTask, for a rule: its input is the overrides.
func (c *cluster) run(r runTask, input []byte) error {
	if err := c.takes(c.ctx, ecsCall); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	d, ok := c.definitions[r.TaskDefinitionArn[strings.LastIndex(r.TaskDefinitionArn, "/")+1:]]
	if !ok || len(r.CapacityProviderStrategy) != 1 {
		return &refusal{status: 400, code: "InvalidParameterException", message: "TaskDefinition not found."}
	}
	group := c.groups[r.CapacityProviderStrategy[0].CapacityProvider]
	waiting := 0
	for _, g := range c.groups {
		waiting += len(g.waiting)
	}
	switch {
	case !c.runs.take(time.Now(), 1):
		c.tally.runsThrottled++
		return &refusal{status: 400, code: "ThrottlingException", message: "Rate exceeded"}
	case waiting >= provisioningMost:
		c.tally.runsRefused++
		return &refusal{status: 400, code: "LimitExceededException", message: "You've reached the limit on the number of tasks in PROVISIONING"}
	}
	c.last++
	t := &task{id: fmt.Sprintf("%032x", c.last), definition: d, overrides: input, group: group, created: time.Now(), status: "PROVISIONING"}
	t.cpu, _ = strconv.Atoi(d.Cpu)
	t.mem, _ = strconv.Atoi(d.Memory)
	c.tasks[t.id] = t
	group.waiting = append(group.waiting, t)
	c.tally.runs++
	live := 0
	for _, t := range c.tasks {
		if !t.ended {
			live++
		}
	}
	c.tally.mostTasks = max(c.tally.mostTasks, live)
	c.tell(t)
	group.placeLocked()
	wait := provisioningWait.from + time.Duration(c.rand.Float64()*float64(provisioningWait.to-provisioningWait.from))
	time.AfterFunc(wait, func() { c.giveUp(t) })
	return nil
}

// giveUp stops a task that no host came for.
func (c *cluster) giveUp(t *task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.status == "PROVISIONING" && c.ctx.Err() == nil {
		c.tally.unplaced++
		c.endLocked(t, 0, "TaskFailedToStart", "Timeout waiting for capacity")
	}
}

// endLocked ends a task.
func (c *cluster) endLocked(t *task, code int, stopCode, reason string) {
	if t.ended {
		return
	}
	t.ended, t.status, t.code, t.stopCode, t.reason = true, "STOPPED", code, stopCode, reason
	t.group.waiting = slices.DeleteFunc(t.group.waiting, func(o *task) bool { return o == t })
	if t.host != nil {
		delete(t.host.tasks, t)
		t.host.idleLooks = 0
	}
	c.tell(t)
	t.group.placeLocked()
}

// enterLocked has a task in a state that is not its end.
func (c *cluster) enterLocked(t *task, status string) {
	if t.ended {
		return
	}
	if t.status = status; status == "RUNNING" {
		t.started = time.Now()
		c.tally.started++
	}
	c.tell(t)
}

// tell tells of a task on the default bus.
func (c *cluster) tell(t *task) {
	detail, err := json.Marshal(c.describe(t, func(at time.Time) any { return at.UTC().Format(time.RFC3339Nano) }))
	if err != nil {
		c.faultLocked("task %s: %v", t.id, err)
		return
	}
	c.start(func() {
		if c.takes(c.ctx, taskNews) == nil {
			c.bus.put("", c.bus.event("aws.ecs", "ECS Task State Change", time.Now(), []string{c.taskARN(t)}, detail))
		}
	})
}

func (c *cluster) taskARN(t *task) string {
	return strings.Replace(c.arn, ":cluster/", ":task/", 1) + "/" + t.id
}

// describe is a task as the API and its events have it, which write times differently.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
func (c *cluster) describe(t *task, stamp func(time.Time) any) map[string]any {
	box := map[string]any{"name": "runner", "lastStatus": t.status, "image": "repository@sha256:image"}
	d := map[string]any{
		"taskArn": c.taskARN(t), "clusterArn": c.arn, "taskDefinitionArn": strings.Replace(c.arn, ":cluster/ci", ":task-definition/"+t.definition.Family+":1", 1),
		"lastStatus": t.status, "desiredStatus": "RUNNING", "overrides": t.overrides, "createdAt": stamp(t.created), "containers": []any{box},
	}
	if !t.started.IsZero() {
		d["startedAt"] = stamp(t.started)
	}
	if t.ended {
		d["desiredStatus"], d["stopCode"], d["stoppedReason"] = "STOPPED", t.stopCode, t.reason
		if !t.started.IsZero() {
			box["exitCode"] = t.code
		}
	}
	return d
}

// serve is ECS's API, as far as functions call it.
func (c *cluster) serve(ctx context.Context, operation string, body []byte) (any, error) {
	var in struct {
		Cluster, Task, Reason, DesiredStatus, NextToken string
		Tasks                                           []string
		MaxResults                                      int
		Include                                         []string
	}
	if err := decode(body, &in); err != nil {
		return nil, err
	}
	if err := c.takes(ctx, ecsCall); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.describes.take(time.Now(), 1) {
		return nil, &refusal{status: 400, code: "ThrottlingException", message: "Rate exceeded"}
	}
	switch operation {
	case "DescribeTasks":
		list := []any{}
		for _, id := range in.Tasks {
			if t := c.tasks[id[strings.LastIndex(id, "/")+1:]]; t != nil {
				list = append(list, c.describe(t, func(at time.Time) any { return float64(at.UnixMilli()) / 1e3 }))
			}
		}
		return map[string]any{"tasks": list, "failures": []any{}}, nil
	case "ListTasks":
		return c.list(in.NextToken, in.MaxResults), nil
	case "StopTask":
		t := c.tasks[in.Task]
		if t == nil {
			return nil, &refusal{status: 400, code: "InvalidParameterException", message: "The referenced task was not found."}
		}
		c.stopLocked(t, "UserInitiated", in.Reason)
		return map[string]any{"task": map[string]any{"taskArn": c.taskARN(t)}}, nil
	}
	c.faultLocked("ECS's %s is not simulated", operation)
	return nil, &refusal{status: 400, code: "InvalidAction", message: operation}
}

// list is a page of the tasks that are to run.
func (c *cluster) list(from string, most int) map[string]any {
	var ids []string
	for id, t := range c.tasks {
		if !t.ended && id > from {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	out := map[string]any{}
	if most = max(most, 1); len(ids) > most {
		ids, out["nextToken"] = ids[:most], ids[most-1]
	}
	arns := []string{}
	for _, id := range ids {
		arns = append(arns, c.taskARN(c.tasks[id]))
	}
	out["taskArns"] = arns
	return out
}

// stopLocked ends a task from outside: its container is asked to end, if there is one.
func (c *cluster) stopLocked(t *task, stopCode, reason string) {
	if t.stop != nil {
		t.stopCode, t.reason = stopCode, reason
		t.stop(errStopped)
		return
	}
	c.endLocked(t, 0, stopCode, reason)
}

// slots is how many tasks of the one pool run at once on all the hosts that there may be.
func (c *cluster) slots() (n int) {
	for _, g := range c.groups {
		for _, d := range c.definitions {
			cpu, _ := strconv.Atoi(d.Cpu)
			mem, _ := strconv.Atoi(d.Memory)
			n += g.max * min(g.cpu/cpu, g.mem/mem)
		}
	}
	return n
}
