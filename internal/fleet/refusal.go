package fleet

// A Refusal says that a launcher cannot give a pool's runners what it asks for. It is an [ErrUnsupported].
type Refusal struct {
	Key  string // of the setting in mayfly.yaml, below the pool, such as network
	Hint string // what to do about it
	Err  error
}

// Error implements error.
func (r *Refusal) Error() string { return r.Key + " " + r.Err.Error() }

// Unwrap gives what r is.
func (r *Refusal) Unwrap() []error { return []error{ErrUnsupported, r.Err} }
