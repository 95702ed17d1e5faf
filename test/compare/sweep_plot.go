package main

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"github.com/stated/stated/cmd/stated/bench"
)

// line is one curve: a figure of a workload over a dimension.
type line struct {
	name   string
	load   bench.Workload
	figure func(*bench.Report) float64
	unit   float64 // what the figure is divided by
}

// panel is one of the plots of a dimension.
type panel struct {
	title string
	axis  string
	lines []line
}

func panels() []panel {
	both := func(figure func(*bench.Report) float64, unit float64) []line {
		return []line{{"saves", bench.Save, figure, unit}, {"loads", bench.Load, figure, unit}}
	}
	return []panel{
		{"Throughput", "requests a second", both(sweptPerSecond, 1)},
		{"Latency, 99th percentile", "milliseconds", both(sweptP99, 1)},
		{"Resident memory, clients included", "MB", both(sweptResident, 1e6)},
		{"Files at the end of the saves", "MB", []line{
			{"database", bench.Save, sweptDB, 1e6}, {"write-ahead log", bench.Save, sweptWAL, 1e6},
		}},
	}
}

// Colours that are told apart by people who do not see all of them, and in print.
var (
	lineColours = []color.Color{color.RGBA{R: 0, G: 114, B: 178, A: 255}, color.RGBA{R: 213, G: 94, B: 0, A: 255}}
	gridColour  = color.Gray{Y: 225}
)

const (
	pageWidth, pageHeight = 10 * vg.Inch, 7.6 * vg.Inch
	headHeight            = 0.85 * vg.Inch
)

// plot draws the panels of a dimension on one page.
func (s *sweep) plot(d dimension, file string) error {
	plot.DefaultFont.Variant = "Sans"
	page := vgsvg.New(pageWidth, pageHeight)
	dc := draw.New(page)
	dc.SetColor(color.White)
	dc.Fill(dc.Path())
	head := func(size, below vg.Length, words string) {
		style := text.Style{Color: color.Black, Font: plot.DefaultFont, XAlign: draw.XCenter, YAlign: draw.YTop, Handler: plot.DefaultTextHandler}
		style.Font.Size = size
		dc.FillText(style, vg.Point{X: dc.Center().X, Y: dc.Max.Y - below}, words)
	}
	head(15, 8, "Cost as work grows: "+d.axis)
	head(9, 30, upper(d.constant()))
	head(9, 43, upper(s.conditions()))
	tiles := draw.Tiles{Rows: 2, Cols: 2, PadX: 20, PadY: 16, PadTop: headHeight, PadBottom: 8, PadLeft: 8, PadRight: 16}
	for i, p := range panels() {
		drawn, err := s.panel(d, p)
		if err != nil {
			return err
		}
		drawn.Draw(tiles.At(dc, i%2, i/2))
	}
	var out bytes.Buffer
	if _, err := page.WriteTo(&out); err != nil {
		return err
	}
	// Arial has the same widths, and more people have it.
	drawn := bytes.ReplaceAll(out.Bytes(), []byte("font-family:Liberation Sans;"), []byte("font-family:Liberation Sans,Arial,Helvetica,sans-serif;"))
	return os.WriteFile(file, drawn, 0o644) //nolint:gosec // it is for everybody to read
}

// panel draws the lines, each with the range of its rounds, on two logarithmic axes.
func (s *sweep) panel(d dimension, p panel) (*plot.Plot, error) {
	out := plot.New()
	out.Title.Text, out.X.Label.Text, out.Y.Label.Text = p.title, d.axis, p.axis
	out.X.Scale, out.Y.Scale = plot.LogScale{}, plot.LogScale{}
	var ticks plot.ConstantTicks
	for _, v := range d.values {
		ticks = append(ticks, plot.Tick{Value: float64(v), Label: d.label(v)})
	}
	out.X.Tick.Marker, out.Y.Tick.Marker = ticks, plot.TickerFunc(niceTicks)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = gridColour, gridColour
	out.Add(grid)
	out.Legend.Top, out.Legend.Left, out.Legend.Padding, out.Legend.XOffs = true, true, 2, 8
	low, high := math.Inf(1), 0.0
	for i, l := range p.lines {
		c := s.curve(d, l)
		if len(c.XYs) == 0 {
			return nil, fmt.Errorf("%s, %s: nothing was measured", d.name, l.name)
		}
		curve, marks, err := plotter.NewLinePoints(c.XYs)
		if err != nil {
			return nil, err
		}
		bars, err := plotter.NewYErrorBars(c)
		if err != nil {
			return nil, err
		}
		curve.Width, curve.Color, bars.Color = 1.5, lineColours[i], lineColours[i]
		marks.Color, marks.Shape = lineColours[i], []draw.GlyphDrawer{draw.CircleGlyph{}, draw.BoxGlyph{}}[i]
		out.Add(curve, marks, bars)
		out.Legend.Add(l.name, curve, marks)
		for j, at := range c.XYs {
			low, high = min(low, at.Y-c.YErrors[j].Low), max(high, at.Y+c.YErrors[j].High)
		}
	}
	out.X.Min, out.X.Max = float64(d.values[0]), float64(d.values[len(d.values)-1])
	out.Y.Min, out.Y.Max = niceBelow(low), niceAbove(high*1.5) // with room for the legend
	return out, nil
}

// ranged are points with the ranges of their rounds.
type ranged struct {
	plotter.XYs
	plotter.YErrors
}

func (s *sweep) curve(d dimension, l line) (c ranged) {
	for _, v := range d.values {
		r := s.find(d.at(v), l.load)
		if len(r.Reports) == 0 {
			continue
		}
		y := r.spread(l.figure)
		c.XYs = append(c.XYs, plotter.XY{X: float64(v), Y: y.median / l.unit})
		c.YErrors = append(c.YErrors, struct{ Low, High float64 }{(y.median - y.min) / l.unit, (y.max - y.median) / l.unit})
	}
	return c
}

// niceTicks marks 1, 2 and 5 times the powers of ten; over many decades the powers alone have labels.
func niceTicks(low, high float64) (ticks []plot.Tick) {
	wide := high/low > 2e3
	for power := math.Floor(math.Log10(low)); power <= math.Ceil(math.Log10(high)); power++ {
		for _, digit := range []float64{1, 2, 5} {
			v := digit * math.Pow(10, power)
			if v < low*0.999 || v > high*1.001 {
				continue
			}
			t := plot.Tick{Value: v, Label: thousands(v)}
			if v < 1 {
				t.Label = fmt.Sprintf("%.*f", int(-power), v)
			}
			if wide && digit != 1 {
				t.Label = ""
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}

// niceBelow and niceAbove give the next of those marks.
func niceBelow(v float64) float64 {
	best := math.Pow(10, math.Floor(math.Log10(v)))
	for _, digit := range []float64{2, 5} {
		if n := digit * math.Pow(10, math.Floor(math.Log10(v))); n <= v {
			best = n
		}
	}
	return best
}

func niceAbove(v float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, digit := range []float64{1, 2, 5} {
		if digit*power >= v {
			return digit * power
		}
	}
	return 10 * power
}
