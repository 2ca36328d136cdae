"""What `langgraph dev --allow-blocking` serves: a coordinator of the folder `sample` as one node."""

from langgraph.graph import START, MessagesState, StateGraph

from backend_coordinator import Coordinator

product = StateGraph(MessagesState)
product.add_node("backend", Coordinator(workspace="sample", init=True).as_node())
product.add_edge(START, "backend")
graph = product.compile()
