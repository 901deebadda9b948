package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A field is one key of a section, as described by the tags of its struct.
type field struct {
	key      string
	index    []int
	typ      reflect.Type
	doc      string
	standard string // the default
	enum     []string
	min      string
	required bool
	short    bool // whether its value may stand for the whole section
}

// fieldsOf returns the keys of a section in the order of its struct.
func fieldsOf(t reflect.Type) (list []field) {
	for _, f := range reflect.VisibleFields(t) {
		key := f.Tag.Get("yaml")
		if key == "" {
			continue
		}
		var enum []string
		if e := f.Tag.Get("enum"); e != "" {
			enum = strings.Split(e, "|")
		}
		list = append(list, field{
			key: key, index: f.Index, typ: f.Type, doc: f.Tag.Get("doc"), standard: f.Tag.Get("default"),
			enum: enum, min: f.Tag.Get("min"), required: f.Tag.Get("required") != "", short: f.Tag.Get("short") != "",
		})
	}
	return list
}

// setDefault sets v to its default.
func (f field) setDefault(v reflect.Value) {
	if f.standard == "" {
		return
	}
	if v.Kind() != reflect.Slice {
		set(v, f.standard)
		return
	}
	items := f.defaults()
	list := reflect.MakeSlice(v.Type(), len(items), len(items))
	for i, item := range items {
		set(list.Index(i), item)
	}
	v.Set(list)
}

// defaults returns the items of a list's default.
func (f field) defaults() []string { return strings.Split(f.standard, ", ") }

func hasKey(fields []field, key string) bool {
	return slices.ContainsFunc(fields, func(f field) bool { return f.key == key })
}

func keysOf(fields []field) []string {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	return keys
}

// less reports whether a number is smaller than limit.
func less(v reflect.Value, limit string) bool {
	least, err := strconv.ParseFloat(limit, 64)
	if err != nil {
		panic(err) // a mistake in a tag, not in the file
	}
	if v.CanInt() {
		return float64(v.Int()) < least
	}
	return v.Float() < least
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	s, _, _ = strings.Cut(string(unicode.ToLower(r))+s[n:], ". ")
	return strings.TrimSuffix(s, ".")
}

// shortOf returns the field whose value may stand for the whole section, or nil.
func shortOf(t reflect.Type) *field {
	for _, f := range fieldsOf(t) {
		if f.short {
			return &f
		}
	}
	return nil
}
