package simulation

import (
	"fmt"
	"slices"
	"time"
)

// Hosts are a capacity provider's: an auto scaling group that managed scaling makes larger and smaller.
type hosts struct {
	*cluster
	id       string
	kind     string // instance type
	cpu, mem int    // of a host: units, MiB
	min, max int
	step     int
	warmup   time.Duration
	spot     bool

	list    []*host // mu, as all below
	waiting []*task // in PROVISIONING, in the order of their coming
	coming  int     // hosts that boot
	lastUp  time.Time
	seconds float64 // that hosts ran
	most    int
}

// A host is an instance.
type host struct {
	group     *hosts
	tasks     map[*task]bool
	began     time.Time
	pulled    bool // it has the image
	going     bool // it takes no more tasks
	idleLooks int
}

// openHosts reads a capacity provider and its group.
func (c *cluster) openHosts(id string) *hosts {
	var provider struct {
		AutoScalingGroupProvider struct {
			AutoScalingGroupArn string
			ManagedScaling      struct{ MaximumScalingStepSize, InstanceWarmupPeriod int }
		}
	}
	c.stack.Read(id, &provider)
	p := provider.AutoScalingGroupProvider
	var group struct {
		MinSize, MaxSize     string
		MixedInstancesPolicy struct {
			LaunchTemplate struct {
				Overrides []struct{ InstanceType string }
			}
			InstancesDistribution struct{ OnDemandPercentageAboveBaseCapacity int }
		}
	}
	c.stack.Read(resource(p.AutoScalingGroupArn), &group)
	h := &hosts{cluster: c, id: id, step: p.ManagedScaling.MaximumScalingStepSize, warmup: time.Duration(p.ManagedScaling.InstanceWarmupPeriod) * time.Second}
	h.kind = group.MixedInstancesPolicy.LaunchTemplate.Overrides[0].InstanceType
	kind, ok := instanceTypes[h.kind]
	if !ok {
		c.t.Fatalf("%s: the type %s is not simulated", id, h.kind)
	}
	h.cpu, h.mem = kind.cpus*1024, kind.memory*(100-hostKeeps)/100
	_, _ = fmt.Sscan(group.MinSize, &h.min)
	_, _ = fmt.Sscan(group.MaxSize, &h.max)
	h.spot = group.MixedInstancesPolicy.InstancesDistribution.OnDemandPercentageAboveBaseCapacity < 100
	for range h.min {
		h.boot()
	}
	h.every(scalingEvery, h.scale)
	return h
}

// scale is what managed scaling does once a minute.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/cluster-auto-scaling.html
func (h *hosts) scale() {
	h.mu.Lock()
	defer h.mu.Unlock()
	need := h.needLocked()
	have := len(h.list) + h.coming
	switch {
	case need > have && time.Since(h.lastUp) >= h.warmup:
		more := min(need-have, h.step, h.max-have)
		if have == 0 {
			more = min(max(more, firstHosts), h.max)
		}
		for range more {
			h.boot()
		}
		if more > 0 {
			h.lastUp = time.Now()
		}
	case need < have:
		h.scaleInLocked()
	}
}

// needLocked is how many hosts all tasks take: those that have one, and those that wait.
func (h *hosts) needLocked() int {
	busy := 0
	for _, one := range h.list {
		if len(one.tasks) > 0 {
			busy++
		}
	}
	free := 0
	for _, one := range h.list {
		if len(one.tasks) > 0 && !one.going {
			free += h.roomLocked(one)
		}
	}
	if left := len(h.waiting) - free; left > 0 {
		slots := min(h.cpu/h.waiting[0].cpu, h.mem/h.waiting[0].mem)
		busy += (left + slots - 1) / max(slots, 1)
	}
	return busy
}

// roomLocked is how many of the tasks that wait fit on a host.
func (h *hosts) roomLocked(one *host) int {
	if len(h.waiting) == 0 {
		return 0
	}
	cpu, mem := h.leftLocked(one)
	return min(cpu/h.waiting[0].cpu, mem/h.waiting[0].mem)
}

// leftLocked is what tasks leave of a host.
func (h *hosts) leftLocked(one *host) (cpu, mem int) {
	cpu, mem = h.cpu, h.mem
	for t := range one.tasks {
		cpu, mem = cpu-t.cpu, mem-t.mem
	}
	return cpu, mem
}

// scaleInLocked ends hosts that ran nothing for long.
func (h *hosts) scaleInLocked() {
	for _, one := range slices.Clone(h.list) {
		if len(one.tasks) > 0 || len(h.list) <= h.min {
			continue
		}
		if one.idleLooks++; one.idleLooks >= scaleInAfter {
			h.endLocked(one)
		}
	}
}

func (h *hosts) endLocked(one *host) {
	h.seconds += time.Since(one.began).Seconds()
	h.list = slices.DeleteFunc(h.list, func(o *host) bool { return o == one })
}

// boot starts a host. It pays from now on.
func (h *hosts) boot() {
	h.coming++
	one := &host{group: h, tasks: map[*task]bool{}, began: time.Now()}
	h.start(func() {
		if h.takes(h.ctx, hostBoot) != nil {
			return
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.coming--
		h.list = append(h.list, one)
		h.most = max(h.most, len(h.list))
		h.placeLocked()
		if h.spot && h.scenario.spot && h.rand.Float64() < spotEnds {
			at := time.Duration(h.rand.Float64() * float64(10*time.Minute))
			time.AfterFunc(at, func() { h.interrupt(one) })
		}
	})
}

// spotEnds is how many spot hosts AWS ends within their first ten minutes, where it ends any.
const spotEnds = 0.2

// interrupt ends a spot host: it takes no more tasks, and two minutes later it is gone with those that it has.
func (h *hosts) interrupt(one *host) {
	if h.ctx.Err() != nil {
		return
	}
	h.mu.Lock()
	one.going = true
	h.tally.spotEnds++
	h.mu.Unlock()
	time.AfterFunc(spotNotice, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		for t := range one.tasks {
			if t.stop != nil {
				t.stop(errHostGone)
			}
			h.cluster.endLocked(t, 137, "TerminationNotice", "Host EC2 (instance) terminated.")
		}
		h.endLocked(one)
	})
}

// placeLocked places tasks that wait, where the least memory is left that is enough.
func (h *hosts) placeLocked() {
	for len(h.waiting) > 0 {
		t := h.waiting[0]
		var best *host
		least := 0
		for _, one := range h.list {
			cpu, mem := h.leftLocked(one)
			if !one.going && cpu >= t.cpu && mem >= t.mem && (best == nil || mem < least) {
				best, least = one, mem
			}
		}
		if best == nil {
			return
		}
		h.waiting = h.waiting[1:]
		best.tasks[t], t.host, best.idleLooks = true, best, 0
		pull := !best.pulled
		h.enterLocked(t, "PENDING")
		h.start(func() { h.launch(t, pull) })
	}
}

// launch brings a task's container up.
func (h *hosts) launch(t *task, pull bool) {
	took := h.draw(containerStart)
	if pull {
		took += h.draw(imagePull)
	}
	if h.sleep(h.ctx, took) != nil {
		return
	}
	h.mu.Lock()
	t.host.pulled = true
	h.mu.Unlock()
	h.contain(t)
}

// hours are those that hosts ran.
func (h *hosts) hours() float64 {
	total := h.seconds
	for _, one := range h.list {
		total += time.Since(one.began).Seconds()
	}
	return total / 3600
}
