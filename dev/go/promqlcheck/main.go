// Promqlcheck says what Prometheus's own parser makes of queries. It reads one JSON object a line, and writes one for each.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// asked is a query, or a regular expression. Confined is the same query with a matcher in every selector.
type asked struct {
	Query    string  `json:"query"`
	Regex    *string `json:"regex"`
	Confined *string `json:"confined"`
	Label    string  `json:"label"`
	Value    string  `json:"value"`
}

// answer has the error of what is asked, else its selectors and how many milliseconds it looks back. Matches says whether a regular
// expression matches nothing. Fault is what is wrong with the confined query.
type answer struct {
	Error     string     `json:"error,omitempty"`
	Selectors []selector `json:"selectors,omitempty"`
	Reach     int64      `json:"reach"`
	Matches   bool       `json:"matches"`
	Fault     string     `json:"fault,omitempty"`
}

// selector is what a selector matches, and how many milliseconds it is moved back.
type selector struct {
	Matchers string `json:"matchers"`
	Offset   int64  `json:"offset"`
}

var promql = parser.NewParser(parser.Options{EnableExperimentalFunctions: true, EnableBinopFillModifiers: true})

func main() {
	in, out := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	in.Buffer(nil, 1<<24)
	for in.Scan() {
		var one asked
		if err := json.Unmarshal(in.Bytes(), &one); err != nil {
			log.Fatal(err)
		}
		if err := out.Encode(answerTo(one)); err != nil {
			log.Fatal(err)
		}
	}
	if err := in.Err(); err != nil {
		log.Fatal(err)
	}
}

func answerTo(one asked) answer {
	if one.Regex != nil {
		matcher, err := labels.NewMatcher(labels.MatchRegexp, "a", *one.Regex)
		if err != nil {
			return answer{Error: err.Error()}
		}
		return answer{Matches: matcher.Matches("")}
	}
	expr, err := promql.ParseExpr(one.Query)
	out := answer{}
	if err != nil {
		out.Error = err.Error()
	} else {
		found := &reading{}
		found.expr(expr, 0, 0)
		out.Selectors, out.Reach = found.selectors, found.reach
	}
	if one.Confined != nil {
		out.Fault = fault(expr, err, *one.Confined, labels.MustNewMatcher(labels.MatchEqual, one.Label, one.Value))
	}
	return out
}

// fault says what a confined query has else than the query and one matcher in each selector; "" for nothing. Of a query that is refused, the
// confined one is to be refused too, or else to have the matcher in each selector.
func fault(expr parser.Expr, refused error, confined string, also *labels.Matcher) string {
	other, err := promql.ParseExpr(confined)
	if err != nil && refused != nil {
		return ""
	}
	if err != nil {
		return err.Error()
	}
	got := &reading{}
	got.expr(other, 0, 0)
	for _, one := range got.selectors {
		if !strings.Contains(one.Matchers, matcherText(also)) {
			return fmt.Sprintf("%s is not confined", one.Matchers)
		}
	}
	if refused != nil {
		return ""
	}
	want := &reading{also: also}
	want.expr(expr, 0, 0)
	if want.tree.String() != got.tree.String() {
		return fmt.Sprintf("%s is not %s", got.tree.String(), want.tree.String())
	}
	return ""
}

// reading is one way through a tree, which it writes as text in which two queries differ that mean different things. Also is a matcher that
// each selector is taken to have besides its own.
type reading struct {
	also      *labels.Matcher
	tree      strings.Builder
	selectors []selector
	reach     int64
}

func (r *reading) expr(node parser.Expr, offset, reach time.Duration) {
	switch n := node.(type) {
	case *parser.VectorSelector:
		r.selector(n, offset, reach)
	case *parser.MatrixSelector:
		r.write("range %s %v", n.Range, n.RangeExpr)
		r.selector(n.VectorSelector.(*parser.VectorSelector), offset, reach+n.Range)
	case *parser.SubqueryExpr:
		r.write("subquery %s %v %s %v %s %v %s", n.Range, n.RangeExpr, n.Step, n.StepExpr, n.OriginalOffset, n.OriginalOffsetExpr, at(n.Timestamp, n.StartOrEnd))
		r.expr(n.Expr, offset+n.OriginalOffset, reach+n.Range+n.OriginalOffset)
	case *parser.BinaryExpr:
		r.write("%s bool=%v %s", n.Op, n.ReturnBool, matching(n.VectorMatching))
		r.expr(n.LHS, offset, reach)
		r.expr(n.RHS, offset, reach)
	case *parser.AggregateExpr:
		r.write("%s without=%v %q param=%v", n.Op, n.Without, n.Grouping, n.Param != nil)
		if n.Param != nil {
			r.expr(n.Param, offset, reach)
		}
		r.expr(n.Expr, offset, reach)
	case *parser.Call:
		r.write("call %s %d", n.Func.Name, len(n.Args))
		for _, one := range n.Args {
			r.expr(one, offset, reach)
		}
	case *parser.ParenExpr:
		r.write("brackets")
		r.expr(n.Expr, offset, reach)
	case *parser.UnaryExpr:
		if n.Op == parser.ADD { // a plus changes nothing
			r.expr(n.Expr, offset, reach)
			return
		}
		r.write("minus")
		r.expr(n.Expr, offset, reach)
	case *parser.NumberLiteral:
		r.write("number %s", strconv.FormatFloat(n.Val, 'g', -1, 64))
	case *parser.StringLiteral:
		r.write("string %q", n.Val)
	default:
		log.Fatalf("%T is not known", node)
	}
	r.tree.WriteString(";")
}

func (r *reading) selector(n *parser.VectorSelector, offset, reach time.Duration) {
	set := map[string]bool{}
	for _, one := range n.LabelMatchers {
		set[matcherText(one)] = true
	}
	if r.also != nil {
		set[matcherText(r.also)] = true
	}
	matchers := make([]string, 0, len(set))
	for one := range set {
		matchers = append(matchers, one)
	}
	sort.Strings(matchers)
	moved := n.OriginalOffset
	r.write("selector %s %s %v %s %v %v", matchers, moved, n.OriginalOffsetExpr, at(n.Timestamp, n.StartOrEnd), n.Anchored, n.Smoothed)
	r.selectors = append(r.selectors, selector{strings.Join(matchers, ","), (offset + moved).Milliseconds()})
	r.reach = max(r.reach, (reach + moved).Milliseconds())
}

func (r *reading) write(format string, values ...any) {
	fmt.Fprintf(&r.tree, format+";", values...)
}

func matcherText(one *labels.Matcher) string {
	return fmt.Sprintf("%q%s%q", one.Name, one.Type, one.Value)
}

func at(timestamp *int64, startOrEnd parser.ItemType) string {
	if timestamp != nil {
		return fmt.Sprintf("@%d", *timestamp)
	}
	return fmt.Sprintf("@%d", int(startOrEnd))
}

func matching(m *parser.VectorMatching) string {
	if m == nil {
		return "none"
	}
	return fmt.Sprintf("%s on=%v %q %q %s %s", m.Card, m.On, m.MatchingLabels, m.Include, fill(m.FillValues.LHS), fill(m.FillValues.RHS))
}

func fill(value *float64) string {
	if value == nil {
		return "-"
	}
	return strconv.FormatFloat(*value, 'g', -1, 64)
}
