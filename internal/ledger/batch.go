package ledger

// Merge returns what the results of several inputs, in their order, come to together: the jobs and runners as
// the last of them left them, and the effects of all. It is what a store writes for inputs that share a
// transaction.
func Merge(results []Result) (all Result) {
	if len(results) == 1 {
		return results[0]
	}
	jobs, runners := map[JobKey]int{}, map[RunnerName]int{}
	for _, r := range results {
		for _, j := range r.Jobs {
			all.Jobs = latest(all.Jobs, jobs, j.Key, j)
		}
		for _, v := range r.Runners {
			all.Runners = latest(all.Runners, runners, v.Name, v)
		}
		all.Effects = append(all.Effects, r.Effects...)
		all.Moves = append(all.Moves, r.Moves...)
		all.More = r.More
	}
	return all
}

// latest puts v into list in the place of the earlier value of key, whose place at has.
func latest[K comparable, V any](list []V, at map[K]int, key K, v V) []V {
	if i, ok := at[key]; ok {
		list[i] = v
		return list
	}
	at[key] = len(list)
	return append(list, v)
}

// Bound sets [Limits].Changes for the inputs that come: a store that applies several of them in one
// transaction has less room for each further one.
func (s *State) Bound(changes int) { s.limits.Changes = changes }
