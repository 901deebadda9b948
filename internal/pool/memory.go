package pool

import (
	"fmt"
	"strconv"
)

// MemoryUse is a runner's use of memory until its end, as the kernel counted it. The zero value
// means that it was not counted.
type MemoryUse struct {
	Kills int   `json:"kills,omitempty"` // processes that the kernel killed because memory ran out
	Peak  int64 `json:"peak,omitempty"`  // bytes; 0 if the kernel does not tell
	Limit int64 `json:"limit,omitempty"` // bytes; 0 for none
}

// Told returns what people have to know about m; "" if no process was killed.
func (m MemoryUse) Told() string {
	if m.Kills <= 0 {
		return ""
	}
	processes := "1 process"
	if m.Kills > 1 {
		processes = strconv.Itoa(m.Kills) + " processes"
	}
	told := fmt.Sprintf("out of memory: the kernel killed %s of the job", processes)
	if m.Limit > 0 {
		told += " at the limit of " + Size(m.Limit)
	}
	return told
}

// Size formats bytes in the form of a pool's memory: 512 MiB.
func Size(bytes int64) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB"}
	size, unit := float64(bytes), 0
	for ; size >= 1024 && unit < len(units)-1; unit++ {
		size /= 1024
	}
	return strconv.FormatFloat(float64(int64(size*10+0.5))/10, 'f', -1, 64) + " " + units[unit]
}
