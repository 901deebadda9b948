package pool

import "testing"

func TestMemoryUseTold(t *testing.T) {
	for _, c := range []struct {
		use  MemoryUse
		want string
	}{
		{MemoryUse{}, ""},
		{MemoryUse{Peak: 1 << 30, Limit: 1 << 30}, ""},
		{MemoryUse{Kills: 1, Limit: 512 << 20}, "out of memory: the kernel killed 1 process of the job at the limit of 512 MiB"},
		{MemoryUse{Kills: 12, Limit: 3 << 29}, "out of memory: the kernel killed 12 processes of the job at the limit of 1.5 GiB"},
		{MemoryUse{Kills: 2}, "out of memory: the kernel killed 2 processes of the job"},
		{MemoryUse{Kills: -1}, ""},
	} {
		if got := c.use.Told(); got != c.want {
			t.Errorf("%+v: %q, want %q", c.use, got, c.want)
		}
	}
}
