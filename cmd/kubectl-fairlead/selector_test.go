package main

import (
	"strings"
	"testing"

	"github.com/fairlead-auth/fairlead/internal/apitypes"
)

func threeClusters() []apitypes.Cluster {
	return []apitypes.Cluster{
		{ID: "prod-eu", Name: "Production EU", Context: "acme-prod-eu", Environment: "prod", Labels: map[string]string{"team": "a"}},
		{ID: "prod-us", Name: "Production US", Context: "acme-prod-us", Environment: "prod"},
		{ID: "dev", Name: "Development", Context: "acme-dev", Environment: "dev", Labels: map[string]string{"team": "b"}},
	}
}

func TestSelectClusters(t *testing.T) {
	t.Parallel()
	for selector, want := range map[string]string{
		"all": "prod-eu prod-us dev", "prod-*": "prod-eu prod-us", "dev,prod-us": "prod-us dev", "acme-d*": "dev",
		"environment=prod": "prod-eu prod-us", "environment=prod,team=a": "prod-eu", "team in (a,b)": "prod-eu dev", "!team": "prod-us", "team!=a": "prod-us dev",
		"": "", "nothing": "", "environment=x": "", "[": "", "team in (": "",
	} {
		selected, err := selectClusters(threeClusters(), selector)
		var ids []string
		for _, c := range selected {
			ids = append(ids, c.ID)
		}
		if got := strings.Join(ids, " "); got != want || (err != nil) != (want == "") {
			t.Errorf("%s: %s, %v", selector, got, err)
		}
	}
}

// TestClusterTypos misspells the names of clusters.
func TestClusterTypos(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"prod-ue": "Did you mean prod-eu?", "Developmnet": "Did you mean Development?", "acme-prod-u": "Did you mean acme-prod-eu?", "somewhere-else": "",
	} {
		_, err := clusterID(threeClusters(), name)
		if text := errorText(err); exitCode(err) != exitUsage || !strings.Contains(text, want) || !strings.HasPrefix(text, `You have no cluster "`+name+`".`) || !strings.HasSuffix(text, "\nChoose one of: prod-eu, prod-us, dev") {
			t.Errorf("%s: %s", name, text)
		}
	}
	if _, err := selectClusters(threeClusters(), "prod-ue"); !strings.Contains(errorText(err), "Did you mean prod-eu?") {
		t.Errorf("the selector: %v", err)
	}
	if _, err := clusterID(nil, "x"); !strings.Contains(errorText(err), "Ask an admin") {
		t.Errorf("without clusters: %v", err)
	}
	for _, found := range []string{"prod-eu", "acme-prod-eu", "production eu"} {
		if id, err := clusterID(threeClusters(), found); id != "prod-eu" || err != nil {
			t.Errorf("%s: %s, %v", found, id, err)
		}
	}
}
