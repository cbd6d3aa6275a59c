package admin

import (
	"maps"
	"slices"

	"github.com/fairlead-auth/fairlead/internal/form"
)

// pairs writes labels as key=value, in order.
func pairs(labels map[string]string) []string {
	list := make([]string, 0, len(labels))
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		list = append(list, key+"="+labels[key])
	}
	return list
}

func inOrder(list []string) []string {
	slices.Sort(list)
	return list
}

// thousandsOrNone writes a count, also zero.
func thousandsOrNone(n int64) string {
	if n == 0 {
		return "0"
	}
	return thousands(n)
}

// changedFields are the labels of the fields whose value is not the default.
func changedFields(fields []form.Field, doc form.Doc) []string {
	var list []string
	for _, f := range fields {
		if value := doc.Get(f.Key); !form.Equal(value, nil) && !form.Equal(value, f.Default) {
			list = append(list, f.Label)
		}
	}
	return list
}
