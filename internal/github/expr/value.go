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

// Text gives v as GitHub puts it into text: null is empty, a list is "Array", and
// a number has 15 digits at most, with an exponent if it is large or tiny.
func Text(v Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case bool:
		return strconv.FormatBool(v)
	case float64:
		return strconv.FormatFloat(v, 'G', 15, 64)
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
		return parseNumber(strings.TrimSpace(v))
	}
	return math.NaN()
}

// parseNumber reads decimal, 0x and 0o forms.
func parseNumber(text string) float64 {
	if text == "" {
		return 0
	}
	for prefix, base := range map[string]int{"0x": 16, "0o": 8} {
		if digits, found := strings.CutPrefix(text, prefix); found {
			if n, err := strconv.ParseUint(digits, base, 63); err == nil {
				return float64(n)
			}
			return math.NaN()
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.ContainsAny(text, "xXpP_iInN") { // what only Go takes for a number
		return math.NaN()
	}
	return n
}
