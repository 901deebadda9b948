package fleet

// A Refusal is the reason why a launcher cannot start runners with a pool's settings. It is an [ErrUnsupported].
type Refusal struct {
	Key  string // of the setting in mayfly.yaml, below the pool, such as network
	Hint string // what to do about it
	Err  error
}

// Error implements error.
func (r *Refusal) Error() string { return r.Key + " " + r.Err.Error() }

// Unwrap returns ErrUnsupported and the reason.
func (r *Refusal) Unwrap() []error { return []error{ErrUnsupported, r.Err} }
