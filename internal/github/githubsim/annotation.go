package githubsim

import (
	"cmp"
	"net/http"
)

// An Annotation is what the page of a run or a job says: why it failed to start,
// was cancelled, or what the simulator has not got.
type Annotation struct {
	Level        string // LevelFailure, LevelWarning or LevelNotice
	Path         string // of a file; ".github" where it is about none
	Line, Column int    // 0 where it is about none
	Message      string
}

// The levels of annotations.
const (
	LevelFailure = "failure"
	LevelWarning = "warning"
	LevelNotice  = "notice"
)

func (r *run) annotate(a Annotation) { r.Annotations = append(r.Annotations, a) }

// annotationRoutes are those of check runs: each job is one, with the job's id.
// https://docs.github.com/en/rest/checks/runs#list-check-run-annotations
func (s *Sim) annotationRoutes() {
	s.asScope("GET /repos/{owner}/{repo}/check-runs/{id}/annotations", s.withJob(s.listAnnotations))
}

func (s *Sim) listAnnotations(c call, j *job) reply {
	shapes := []object{}
	for _, a := range j.annotations() {
		shapes = append(shapes, a.shape(c.web, j.run))
	}
	part, links := page(c, shapes)
	return reply{http.StatusOK, part, links}
}

// annotations gives what j's page says.
func (j *job) annotations() []Annotation {
	if j.Fault == "" {
		return nil
	}
	level := LevelFailure
	if j.Conclusion == Success {
		level = LevelNotice
	}
	return []Annotation{{Level: level, Path: ".github", Message: j.Fault}}
}

func (a Annotation) shape(web string, r *run) object {
	path, line := cmp.Or(a.Path, ".github"), max(a.Line, 1)
	column := any(nil)
	if a.Column > 0 {
		column = a.Column
	}
	return object{
		"path": path, "start_line": line, "end_line": line, "start_column": column, "end_column": column,
		"annotation_level": a.Level, "title": "", "message": a.Message, "raw_details": "",
		"blob_href": web + "/" + r.Repository + "/blob/" + r.SHA + "/" + path,
	}
}
