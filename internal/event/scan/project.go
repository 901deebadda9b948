package scan

// A Shape selects members of an object: nil selects the whole value, another Shape a part of
// an object.
type Shape map[string]Shape

// Project appends the JSON object data to b, with only the members in shape, and reports
// whether data is one JSON object. Names are compared as written, without resolving escapes,
// and duplicates are kept. If shape selects a part of a member that is not an object, the
// whole member is kept.
func Project(b, data []byte, shape Shape) ([]byte, bool) {
	s := Scanner{Data: data}
	if s.Peek() != '{' {
		return b, false
	}
	b, ok := s.project(b, shape, 1)
	return b, ok && s.Peek() == 0 && s.Pos == len(data)
}

// project appends the object at Pos, whose members are depth levels deep.
func (s *Scanner) project(b []byte, shape Shape, depth int) ([]byte, bool) {
	s.Pos++
	b = append(b, '{')
	if depth > MaxDepth {
		return b, false
	}
	if s.Take('}') {
		return append(b, '}'), true
	}
	for first := true; ; {
		name, _, ok := s.Name()
		if !ok {
			return b, false
		}
		inner, wanted := shape[string(name)]
		if wanted && !first {
			b = append(b, ',')
		}
		if wanted {
			first = false
			b = append(append(append(b, '"'), name...), '"', ':')
		}
		if b, ok = s.member(b, inner, wanted, depth); !ok {
			return b, false
		}
		if more, ok := s.More('}'); !more || !ok {
			return append(b, '}'), ok
		}
	}
}

// member skips the value at Pos, and appends it if it is wanted.
func (s *Scanner) member(b []byte, inner Shape, wanted bool, depth int) ([]byte, bool) {
	c := s.Peek()
	if wanted && inner != nil && c == '{' {
		return s.project(b, inner, depth+1)
	}
	start := s.Pos
	ok := s.Skip(depth)
	if wanted {
		b = append(b, s.Data[start:s.Pos]...)
	}
	return b, ok
}
