package stack

import (
	"slices"
	"strings"
)

// task checks the containers of a task definition.
// https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task_definition_parameters_ec2.html
func (l *linter) task(id string, p tree) {
	volumes := names(p["Volumes"])
	essential := map[string]bool{}
	for _, c := range trees(p["ContainerDefinitions"]) {
		essential[text(c["Name"])] = c["Essential"] != false
	}
	if network := text(p["NetworkMode"]); network == "host" {
		l.fault(id, "network mode host: a task would have its host's credentials")
	}
	for _, c := range trees(p["ContainerDefinitions"]) {
		name := text(c["Name"])
		for _, d := range trees(c["DependsOn"]) {
			on, condition := text(d["ContainerName"]), text(d["Condition"])
			switch isEssential, known := essential[on]; {
			case !known:
				l.fault(id, "container %s depends on %s, which is not there", name, on)
			case isEssential && (condition == "SUCCESS" || condition == "COMPLETE"):
				l.fault(id, "container %s waits for the end of %s, with which the whole task ends: want essential false", name, on)
			}
		}
		for _, m := range trees(c["MountPoints"]) {
			if v := text(m["SourceVolume"]); !volumes[v] {
				l.fault(id, "container %s mounts volume %s, which is not declared", name, v)
			}
		}
		if c["Memory"] == nil && c["MemoryReservation"] == nil && p["Memory"] == nil {
			l.fault(id, "container %s has no memory: want Memory or MemoryReservation", name)
		}
		for _, m := range trees(at(c, "LinuxParameters")["Tmpfs"]) {
			for _, option := range list(m["MountOptions"]) {
				if !slices.Contains(tmpfsOptions(), text(option)) {
					l.fault(id, "container %s: tmpfs option %v: ECS has none of that name, and no values", name, option)
				}
			}
		}
		if c["Secrets"] != nil {
			l.fault(id, "container %s is given secrets, which its job could read", name)
			if p["ExecutionRoleArn"] == nil {
				l.fault(id, "container %s has secrets, and no execution role could read them", name)
			}
		}
		if c["Privileged"] == true {
			l.fault(id, "container %s is privileged: it could take its host", name)
		}
	}
}

// trees returns the maps in a list.
func trees(value any) (all []tree) {
	for _, item := range list(value) {
		if t, ok := item.(tree); ok {
			all = append(all, t)
		}
	}
	return all
}

// names returns the names in a list of maps.
func names(value any) map[string]bool {
	all := map[string]bool{}
	for _, t := range trees(value) {
		all[text(t["Name"])] = true
	}
	return all
}

// tmpfsOptions returns the options that ECS documents: "mode" is one, "mode=1777" is not. Docker's default mode is 1777.
// https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_Tmpfs.html
func tmpfsOptions() []string {
	return strings.Fields(`defaults ro rw suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime diratime nodiratime
		bind rbind unbindable runbindable private rprivate shared rshared slave rslave relatime norelatime strictatime nostrictatime
		mode uid gid nr_inodes nr_blocks mpol`)
}
