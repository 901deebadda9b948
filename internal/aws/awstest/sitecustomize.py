# Python reads this before it starts moto_server, which then ends when nobody is left who could write to it. moto 5 cannot make a stack in which something refers to a resource of a
# type that it does not know, although it passes over the resource itself; here such a reference is the resource's
# name. And of a bus, Ref is its name, as on AWS. What a rule writes to a log is of a whole millisecond, which the SDK insists on.
import os
import sys
import threading

if sys.argv[0].endswith("moto_server") or not sys.argv[0]:
    threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()

    import moto.cloudformation.parsing as parsing
    import moto.events.models as events
    from moto.events.models import EventBus

    clean = parsing.clean_json

    def lenient(value, resources):
        if isinstance(value, dict) and isinstance(resources, parsing.ResourceMap):
            path = value.get("Fn::GetAtt") or [value.get("Ref")]
            if path[0] in resources._resource_json_map and resources.get(path[0]) is None:
                return ".".join(path)
        return clean(value, resources)

    parsing.clean_json = lenient
    parsing.ResourceMap.validate_outputs = lambda self: None
    EventBus.physical_resource_id = property(lambda self: self.name)
    millis = events.unix_time_millis
    events.unix_time_millis = lambda *at: int(millis(*at))

    # A change set makes the resources; the stack's outputs, which moto forgets then, follow from them. A resource whose policy
    # of deletion alone is another is not made anew.
    import moto.cloudformation.models as models

    apply = models.ChangeSet.apply

    def whole(self):
        there = self.stack.resource_map._resource_json_map
        for name, resource in self.template_dict["Resources"].items():
            for policy in ("DeletionPolicy", "UpdateReplacePolicy"):
                if name in there and policy in resource:
                    there[name][policy] = resource[policy]
        apply(self)
        self.stack.template, self.stack.parameters = self.template, self.parameters
        self.stack._parse_template()
        self.stack.output_map = self.stack._create_output_map()

    models.ChangeSet.apply = whole
