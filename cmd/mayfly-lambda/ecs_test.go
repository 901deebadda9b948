package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/mayfly-ci/mayfly/internal/aws/awstest"
	"github.com/mayfly-ci/mayfly/internal/aws/runtimeapi"
)

// An elasticContainers stands for ECS with one host: it runs tasks of the template's
// task definitions as containers of this machine's Podman, gives each the credentials of its
// role, and tells of their states. Unlike a host of ECS's, the container is in this
// machine's network, so that it reaches the loopback, where GitHub and the claim function
// are here, and the credentials are there at an address of it, and not of 169.254.170.2.
type elasticContainers struct {
	t       testing.TB
	api     *client.Client
	stack   *awstest.Deployed
	bus     *eventBridge
	cluster string           // its ARN
	roles   *httptest.Server // /TASK: the credentials endpoint

	mu    sync.Mutex
	tasks map[string]*ecsTask // by id
}

// An ecsTask is a task.
type ecsTask struct {
	id, cluster string // cluster and definition are ARNs
	definition  string
	overrides   json.RawMessage
	role        string // unique id of its role
	keys        aws.Credentials
	created     time.Time

	started time.Time // guarded by mu of its cluster, as what follows
	status  string
	exit    int
	output  string
}

func newECS(d *awstest.Deployed, api *client.Client, bus *eventBridge) *elasticContainers {
	e := &elasticContainers{t: d.TB, api: api, stack: d, bus: bus, cluster: d.Values["Cluster.Arn"], tasks: map[string]*ecsTask{}}
	e.roles = httptest.NewServer(http.HandlerFunc(e.credentials))
	d.TB.Cleanup(e.roles.Close)
	bus.send[e.cluster] = e.run
	return e
}

// credentials answers what a task's credentials endpoint does.
func (e *elasticContainers) credentials(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	task := e.tasks[strings.TrimPrefix(r.URL.Path, "/")]
	e.mu.Unlock()
	if task == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(map[string]string{
		"AccessKeyId": task.keys.AccessKeyID, "SecretAccessKey": task.keys.SecretAccessKey, "Token": task.keys.SessionToken,
		"Expiration": time.Now().Add(time.Hour).UTC().Format(time.RFC3339),
	})
}

// caller says who signed a call, as Lambda does in front of a function with AWS_IAM.
func (e *elasticContainers) caller(r *http.Request, body []byte) (*runtimeapi.Identity, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, task := range e.tasks {
		if strings.Contains(r.Header.Get("Authorization"), "Credential="+task.keys.AccessKeyID+"/") {
			who := task.role + ":" + task.id
			return &runtimeapi.Identity{
				AccessKey: task.keys.AccessKeyID, AccountID: awstest.Account, CallerID: who, UserID: who,
				UserARN: "arn:aws:sts::" + awstest.Account + ":assumed-role/task/" + task.id,
			}, awstest.CheckSignature(r, body, task.keys, "lambda")
		}
	}
	return nil, errors.New("signed by nobody who is known")
}

// A definition is the part of a task definition that a container is made of.
type definition struct {
	Family               string
	TaskRoleArn          string
	ContainerDefinitions []struct {
		Name, Image         string
		EntryPoint, Command []string
		Environment         []struct{ Name, Value string }
		LinuxParameters     struct {
			Capabilities struct{ Drop []string }
		}
		DockerSecurityOptions []string
		Memory                int64
	}
}

// define returns the task definition of a family, as the stack makes it.
func (e *elasticContainers) define(family string) (d definition) {
	for id, r := range e.stack.Resources {
		if r.(map[string]any)["Type"] != "AWS::ECS::TaskDefinition" {
			continue
		}
		if e.stack.Read(id, &d); d.Family == family {
			return d
		}
	}
	e.t.Errorf("no task definition of the family %s", family)
	return definition{}
}

// add makes a task of a definition that does not run yet.
func (e *elasticContainers) add(d definition, overrides json.RawMessage) *ecsTask {
	var id [16]byte
	_, _ = rand.Read(id[:])
	task := &ecsTask{
		id: hex.EncodeToString(id[:]), cluster: e.cluster, overrides: overrides, created: time.Now(), status: "PROVISIONING",
		definition: fmt.Sprintf("arn:aws:ecs:%s:%s:task-definition/%s:1", awstest.Region, awstest.Account, d.Family),
		role:       e.stack.Value(strings.TrimSuffix(d.TaskRoleArn, ".Arn") + ".RoleId"),
		keys:       aws.Credentials{AccessKeyID: "ASIA" + rand.Text(), SecretAccessKey: rand.Text(), SessionToken: rand.Text()},
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tasks[task.id] = task
	return task
}

// run is RunTask, for a rule: the transformed event is the overrides.
func (e *elasticContainers) run(ctx context.Context, to target) {
	d := e.define(to.rule.family)
	task := e.add(d, to.input)
	e.enter(task, "PENDING")
	if err := e.contain(ctx, task, d); err != nil {
		e.t.Errorf("task %s: %v", task.id, err)
	}
	e.enter(task, "STOPPED")
}

// contain runs the task's container to its end and removes it.
func (e *elasticContainers) contain(ctx context.Context, task *ecsTask, d definition) error {
	options, err := e.options(task, d)
	if err != nil {
		return err
	}
	if _, err := e.api.ContainerCreate(ctx, options); err != nil {
		return err
	}
	defer func() {
		_, err := e.api.ContainerRemove(ctx, options.Name, client.ContainerRemoveOptions{Force: true})
		if err != nil {
			e.t.Errorf("removing %s: %v", options.Name, err)
		}
	}()
	if _, err := e.api.ContainerStart(ctx, options.Name, client.ContainerStartOptions{}); err != nil {
		return err
	}
	e.enter(task, "RUNNING")
	wait := e.api.ContainerWait(ctx, options.Name, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning})
	select {
	case end := <-wait.Result:
		e.mu.Lock()
		task.exit = int(end.StatusCode)
		e.mu.Unlock()
	case err := <-wait.Error:
		return err
	}
	return e.keepOutput(ctx, task, options.Name)
}

func (e *elasticContainers) keepOutput(ctx context.Context, task *ecsTask, name string) error {
	logs, err := e.api.ContainerLogs(ctx, name, client.ContainerLogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return err
	}
	defer logs.Close()
	var out bytes.Buffer
	if _, err := stdcopy.StdCopy(&out, &out, logs); err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	task.output = out.String()
	return nil
}

// options is the container of a task: image, entry point, command and environment of
// the definition, and of the overrides.
func (e *elasticContainers) options(task *ecsTask, d definition) (client.ContainerCreateOptions, error) {
	var overrides struct {
		ContainerOverrides []struct {
			Name        string
			Environment []struct{ Name, Value string }
		}
	}
	if err := json.Unmarshal(task.overrides, &overrides); err != nil {
		return client.ContainerCreateOptions{}, err
	}
	c := d.ContainerDefinitions[0]
	env := []string{ // what ECS's agent adds
		"AWS_REGION=" + awstest.Region, "AWS_EXECUTION_ENV=AWS_ECS_EC2", "AWS_CONTAINER_CREDENTIALS_FULL_URI=" + e.roles.URL + "/" + task.id,
	}
	for _, v := range c.Environment {
		env = append(env, v.Name+"="+v.Value)
	}
	for _, o := range overrides.ContainerOverrides {
		if o.Name != c.Name {
			return client.ContainerCreateOptions{}, fmt.Errorf("overrides for a container %s: want %s", o.Name, c.Name)
		}
		for _, v := range o.Environment {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	return client.ContainerCreateOptions{
		Name:   nameOf(task),
		Config: &container.Config{Image: c.Image, Entrypoint: c.EntryPoint, Cmd: c.Command, Env: env},
		HostConfig: &container.HostConfig{
			NetworkMode: "host", CapDrop: c.LinuxParameters.Capabilities.Drop, SecurityOpt: c.DockerSecurityOptions,
			Resources: container.Resources{Memory: c.Memory << 20, Ulimits: []*container.Ulimit{ // Podman has no defaults here
				{Name: "nofile", Soft: 8192, Hard: 16384}, {Name: "nproc", Soft: 16384, Hard: 32768},
			}},
		},
	}, nil
}

func nameOf(task *ecsTask) string { return "mayfly-lambda-test-" + task.id }

// enter has a task in a state, and tells of it on the default bus.
func (e *elasticContainers) enter(task *ecsTask, status string) {
	e.mu.Lock()
	task.status = status
	if status == "RUNNING" {
		task.started = time.Now()
	}
	detail, err := json.Marshal(e.describe(task))
	e.mu.Unlock()
	if err != nil {
		e.t.Error(err)
	}
	e.bus.put("", "aws.ecs", "ECS Task State Change", time.Now(), []string{e.arn(task)}, detail)
}

func (e *elasticContainers) arn(task *ecsTask) string {
	return strings.Replace(e.cluster, ":cluster/", ":task/", 1) + "/" + task.id
}

// describe is a task as its events have it.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/ecs_task_events.html
func (e *elasticContainers) describe(task *ecsTask) map[string]any {
	c := map[string]any{"name": "runner", "lastStatus": task.status, "taskArn": e.arn(task)}
	d := map[string]any{
		"taskArn": e.arn(task), "clusterArn": e.cluster, "taskDefinitionArn": task.definition, "lastStatus": task.status,
		"desiredStatus": "RUNNING", "overrides": task.overrides, "createdAt": task.created.UTC().Format(time.RFC3339Nano),
		"containers": []any{c}, "startedBy": "events-rule/ci", "group": "family:" + task.definition,
	}
	if !task.started.IsZero() {
		d["startedAt"] = task.started.UTC().Format(time.RFC3339Nano)
	}
	if task.status == "STOPPED" {
		c["exitCode"] = task.exit
		d["desiredStatus"], d["stopCode"], d["stoppedReason"] = "STOPPED", "EssentialContainerExited", "Essential container in task exited"
	}
	return d
}

// ServeHTTP is ECS's API, as far as the functions call it.
func (e *elasticContainers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var in struct {
		Cluster, Task string
		Tasks         []string
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		e.t.Errorf("%s: %v", operation, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	answer := map[string]any{"tasks": []any{}, "failures": []any{}, "taskArns": []any{}}
	for _, task := range e.tasks {
		switch {
		case in.Cluster != e.stack.Values["Cluster"] || task.cluster != e.cluster:
		case operation == "DescribeTasks" && strings.Contains(strings.Join(in.Tasks, " "), task.id):
			d := e.describe(task)
			d["createdAt"] = float64(task.created.UnixMilli()) / 1e3 // the API has numbers where events have texts
			if delete(d, "startedAt"); !task.started.IsZero() {
				d["startedAt"] = float64(task.started.UnixMilli()) / 1e3
			}
			answer["tasks"] = append(answer["tasks"].([]any), d)
		case operation == "StopTask" && in.Task == task.id:
			e.bus.work.Go(func() {
				if _, err := e.api.ContainerStop(context.Background(), nameOf(task), client.ContainerStopOptions{}); err != nil {
					e.t.Errorf("stopping task %s: %v", task.id, err)
				}
			})
		case operation == "ListTasks" && task.status != "STOPPED":
			answer["taskArns"] = append(answer["taskArns"].([]any), e.arn(task))
		}
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(answer)
}

// forget removes tasks that never ran.
func (e *elasticContainers) forget(tasks ...*ecsTask) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, task := range tasks {
		delete(e.tasks, task.id)
	}
}

// all returns the tasks that there were.
func (e *elasticContainers) all() (list []*ecsTask) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, task := range e.tasks {
		list = append(list, task)
	}
	return list
}
