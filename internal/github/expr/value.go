package expr

import (
	"errors"
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
		return numberText(v)
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

// numberText gives a number as .NET's format G15 does, and no zero a sign.
// https://github.com/actions/runner/blob/main/src/Sdk/Expressions/EvaluationResult.cs
func numberText(n float64) string {
	switch {
	case n == 0:
		return "0"
	case math.IsInf(n, 0):
		return strings.TrimPrefix(strconv.FormatFloat(n, 'G', 15, 64), "+") + "inity"
	}
	return strconv.FormatFloat(n, 'G', 15, 64)
}

// parseNumber reads decimal, 0x and 0o forms; of the last two, 32 bits with a sign.
// https://github.com/actions/runner/blob/main/src/Sdk/Expressions/Sdk/ExpressionUtility.cs
func parseNumber(text string) float64 {
	if text == "" {
		return 0
	}
	for prefix, base := range map[string]int{"0x": 16, "0o": 8} {
		if digits, found := strings.CutPrefix(text, prefix); found {
			if n, err := strconv.ParseUint(digits, base, 32); err == nil {
				return float64(int32(n))
			}
			return math.NaN()
		}
	}
	if word := strings.TrimLeft(text, "+-"); strings.EqualFold(word, "infinity") && len(text)-len(word) <= 1 {
		return math.Inf(1 - 2*strings.Count(text, "-"))
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || strings.ContainsAny(text, "xXpP_iInN") { // what only Go takes for a number
		return math.NaN()
	}
	return n
}
