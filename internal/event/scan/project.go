package scan

// A Shape names the members of an object that are wanted: nil for the whole value,
// another Shape for a part of an object.
type Shape map[string]Shape

// Project appends to b the JSON object data with only the members that shape names,
// and reports whether data is one JSON object. Names are matched as they are written,
// without escapes; what stands more than once stays so. A member that is named with
// a Shape and is no object is kept whole.
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

// member appends the value at Pos if it is wanted, and skips it in any case.
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
