package settings

import (
	"maps"
	"slices"

	"github.com/fairlead-auth/fairlead/internal/form"
)

// gangway converts configurations of Gangway. Each is a cluster, because Gangway has one deployment for each cluster.
func (i *importer) gangway(documents []map[string]any) {
	i.each(documents, isGangway, "Gangway’s gangway.yaml, or the ConfigMap, Secret or Helm values that hold it", i.gangwayConfig)
}

func (i *importer) gangwayConfig(root map[string]any) {
	from := form.Doc(root)
	name := takeText(from, "clusterName")
	id := Slugify(name)
	if id == "" {
		i.refuse("clusterName is missing in the configuration of Gangway. Add it: it becomes the id of the cluster.")
		return
	}
	doc := form.Doc{"id": id, "name": name, "server": takeText(from, "apiServerURL"), "mode": "direct"}
	if audience := takeText(from, "clientID"); audience != "" {
		doc["audience"] = audience
	}
	// The rest says where Gangway serves and how it signs users in, which Fairlead does itself.
	for _, key := range []string{"host", "port", "serveTLS", "redirectURL", "scopes", "providerURL", "authorizeURL", "tokenURL", "sessionSecurityKey", "sessionSalt"} {
		take(from, key)
	}
	for _, key := range slices.Sorted(maps.Keys(from)) {
		switch key {
		case "clientSecret":
			i.note("clientSecret: no longer needed, because Fairlead’s kubeconfig holds no secret")
		case "clusterCAPath", "trustedCAPath":
			i.note("%s: paste the certificate into the cluster’s form", key)
		case "usernameClaim", "emailClaim":
			i.note("%s: set the API server’s username claim to preferred_username; see Connect this cluster", key)
		default:
			continue
		}
		take(from, key)
	}
	i.ignoreRest("cluster "+id, from)
	i.note("Create an access rule. Without one, no user may use the cluster.")
	i.add(Clusters, id, name, doc)
}
