package expr

import (
	"math"
	"strconv"
	"strings"
)

// Truthy reports whether v counts as true: all but false, 0, NaN, "" and null.
func Truthy(v Value) bool {
	switch v := v.(type) {
	case nil:
		return false
	case bool:
		return v
	case float64:
		return v != 0 && !math.IsNaN(v)
	case string:
		return v != ""
	}
	return true
}

// Text gives v as GitHub puts it into text: null is empty, a list is "Array".
func Text(v Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case string:
		return v
	case map[string]any:
		return "Object"
	}
	return "Array"
}

// Number gives v as GitHub compares it: null and "" are 0, true is 1, and what
// is not a number is NaN.
func Number(v Value) float64 {
	switch v := v.(type) {
	case nil:
		return 0
	case bool:
		if v {
			return 1
		}
		return 0
	case float64:
		return v
	case string:
		text := strings.TrimSpace(v)
		if text == "" {
			return 0
		}
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
		if n, err := strconv.ParseInt(text, 0, 64); err == nil { // 0x10, 0o17
			return float64(n)
		}
	}
	return math.NaN()
}
