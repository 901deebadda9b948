package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// A Colour of text on a terminal.
type Colour int

// The colours, by meaning.
const (
	Plain  Colour = 0
	Red    Colour = 31 // wrong
	Green  Colour = 32 // good
	Yellow Colour = 33 // in progress
	Blue   Colour = 34 // needs attention
	Grey   Colour = 90 // less important
)

// Paint returns text in colour where the screen shows colours.
func (s *Screen) Paint(c Colour, text string) string {
	if !s.Colour || c == Plain {
		return text
	}
	return fmt.Sprintf("\x1b[%dm%s\x1b[0m", c, text)
}

// A Cell is one entry of a table.
type Cell struct {
	Text   string
	Colour Colour
}

// Text makes plain cells.
func Text(words ...string) []Cell {
	cells := make([]Cell, len(words))
	for i, w := range words {
		cells[i].Text = w
	}
	return cells
}

// Table prints rows under head with aligned columns, two spaces apart. Cells may come
// from a repository, so they are made [Printable].
func (s *Screen) Table(head []string, rows [][]Cell) {
	width := make([]int, len(head))
	for i, h := range head {
		width[i] = utf8.RuneCountInString(h)
	}
	for _, row := range rows {
		for i := range row {
			row[i].Text = Printable(row[i].Text)
			width[i] = max(width[i], utf8.RuneCountInString(row[i].Text))
		}
	}
	titles := Text(head...)
	for i := range titles {
		titles[i].Colour = Grey
	}
	for _, row := range append([][]Cell{titles}, rows...) {
		s.row(row, width)
	}
}

func (s *Screen) row(row []Cell, width []int) {
	var line strings.Builder
	for i, c := range row {
		line.WriteString(s.Paint(c.Colour, c.Text))
		if i < len(row)-1 {
			line.WriteString(strings.Repeat(" ", width[i]-utf8.RuneCountInString(c.Text)+2))
		}
	}
	fmt.Fprintln(s.Out, strings.TrimRight(line.String(), " "))
}

// Count returns n and the noun, with an s unless n is 1.
func Count(n int, one string) string {
	if n != 1 {
		one += "s"
	}
	return fmt.Sprintf("%d %s", n, one)
}

// Duration formats d in its two largest units: 812ms, 4.2s, 3m07s, 5h12m, 2d3h.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Truncate(100*time.Millisecond).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%dh", int(d.Hours())/24, int(d.Hours())%24)
}
